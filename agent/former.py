"""What is to be told of former servers' leases (`agent.kinds.former_server`): pure.

The engine tries addresses by the same rows, by `Configuration.former_leases_end`.
"""

from __future__ import annotations

from typing import NamedTuple

from agent.addresses import format_address
from agent.kinds.subnet import ProbePolicy
from agent.settings.configuration import Configuration


class FormerLeases(NamedTuple):
    """Leases of a former server may run in `network` until `until`."""

    network: str
    until: int


def running(configuration: Configuration, now: int) -> list[FormerLeases]:
    """As the rows say, those that are not over."""
    return [
        FormerLeases(network_name(row.network, row.prefix_length), row.until)
        for row in configuration.former_servers
        if row.until > now
    ]


def untried(configuration: Configuration, now: int) -> list[FormerLeases]:
    """Subnets where they may run, and no address is tried for all that."""
    found = []
    for subnet in configuration.subnets:
        until = configuration.former_leases_end(subnet.first, subnet.last)
        if until > now and subnet.probe is ProbePolicy.NEVER:
            found.append(FormerLeases(network_name(subnet.network, subnet.prefix_length), until))
    return found


def network_name(network: int, prefix_length: int) -> str:
    return f"{format_address(network)}/{prefix_length}" if prefix_length else "every network"
