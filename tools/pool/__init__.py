"""Use a group as one server: pick a member by policy, go to another by itself when one is gone.

    from random import Random
    from tools.pool import Element, Policy, Pool, snmp_opener

    pool = Pool(
        [Element("198.18.0.1"), Element("198.18.0.2")],    # any members; the rest is asked for
        snmp_opener(user),                                 # tools.credentials.Credentials
        policy=Policy.LEAST_USED,
        on_failover=lambda one: print(f"{one.old} -> {one.new}: {one.why}"),
    )
    rows = pool.run(lambda member: member.table(SUBNET))

docs/pooling.md says what is promised.
"""

from tools.manager import Session
from tools.pool.policy import Chooser, Element, Policy
from tools.pool.pool import Failover, Limits, Pool, PoolError, UncertainError
from tools.pool.target import PoolOption, PoolTarget, parse_pool, snmp_opener

__all__ = [
    "Chooser",
    "Element",
    "Failover",
    "Limits",
    "Policy",
    "Pool",
    "PoolError",
    "PoolOption",
    "PoolTarget",
    "Session",
    "UncertainError",
    "parse_pool",
    "snmp_opener",
]
