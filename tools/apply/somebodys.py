"""Addresses of pools that are somebody's, in words: pure.

The engine gives them to no client (`agent.dhcp.engine`, `named`), so they are no error: a pool of
a whole subnet with the router in it is served well. But it has fewer addresses than it seems to,
and a router that is not where the option says is a mistake that a person sees here at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from agent.dhcp.option_types import option_type
from agent.dhcp.options import named_addresses
from agent.kinds import row_name
from agent.limits import CONFIG_ERRORS_MAX
from agent.model import ConfigRow, format_address
from agent.settings.configuration import Configuration


def tell_somebodys(rows: Iterable[ConfigRow]) -> list[str]:
    """A sentence for each address that a pool holds and options name, CONFIG_ERRORS_MAX at most.

    What is reserved is given to its client, and rows that are not in service name nobody."""
    return list(islice(_sentences(Configuration.from_rows(rows)), CONFIG_ERRORS_MAX))


def _sentences(configuration: Configuration) -> Iterator[str]:
    named: dict[int, list[str]] = {}
    for option in configuration.options:
        for address in named_addresses(option.code, option.data):
            names = named.setdefault(address, [])
            if (name := option_type(option.code).name) not in names:
                names.append(name)
    for address, names in sorted(named.items()):
        pool = configuration.pool_of(address)
        if pool is not None and configuration.reservation_of(address) is None:
            yield (
                f"{row_name(pool)} holds {format_address(address)}, which {' and '.join(names)} "
                "name: no client is given it"
            )
