"""GET, GETNEXT and GETBULK (RFC 3416 4.2.1 to 4.2.3) over the tree of nodes.

Pure of pysnmp: octets of variable bindings in, octets out, within a size. A request is answered in
one read transaction. GETBULK makes one walk for each repeater, each of which reads rows by the
page, and takes from them in turn until the repetitions or the room are used up. A page has no more
rows than could still fit, whatever the request asks for: a thousand repeaters of two thousand
repetitions are a few rows each. And a request has its time (`Scope.check`): what has run out of it
ends like what has run out of room.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.errors import PacketError
from agent.limits import SNMP_REQUEST_VARBINDS_MAX, SNMP_ROWS_MAX
from agent.snmp import ber
from agent.snmp.ber import Varbind
from agent.snmp.oid import Oid
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.tables import Node, Scope, Tree
from agent.snmp.view import Operation, Role, may

_LIST_OVERHEAD = 4
"""Tag and length of the list of a message that fits a datagram."""

_VARBIND_OCTETS_MIN = 14
"""The shortest variable binding of any object here: eight octets of name, and no value."""

_END = ber.END_OF_MIB_VIEW_VALUE


@dataclass(frozen=True, slots=True)
class Bulk:
    """What a GETBULK adds to a GETNEXT; negative numbers count as 0 (RFC 3416 4.2.3)."""

    non_repeaters: int
    max_repetitions: int


class Reader:
    """Answers the reads of each role: what it may not see is not in its tree."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._trees = {
            role: Tree([node for node in nodes if may(role, Operation.READ, node.oid)])
            for role in Role
        }
        self._names: dict[Oid, bytes] = {
            node.oid: ber.object_identifier(node.oid) for node in nodes
        }

    def get(self, scope: Scope, role: Role, varbinds: Sequence[Varbind], room: int) -> bytes:
        """RFC 3416 4.2.1. Raises RequestError tooBig."""
        tree = self._trees[role]

        def instance(oid: Oid) -> bytes:
            node = tree.find(oid)
            if node is None:
                return ber.NO_SUCH_OBJECT_VALUE
            return node.instance(scope, oid[len(node.oid) :]) or ber.NO_SUCH_INSTANCE_VALUE

        return _fitting(
            (
                ber.varbind(ber.object_identifier(one.oid), instance(one.oid))
                for one in _in_time(scope, varbinds)
            ),
            room,
        )

    def get_next(self, scope: Scope, role: Role, varbinds: Sequence[Varbind], room: int) -> bytes:
        """RFC 3416 4.2.2. Raises RequestError tooBig."""
        tree = self._trees[role]
        return _fitting(
            (self._next(scope, tree, one.oid) for one in _in_time(scope, varbinds)), room
        )

    def get_bulk(
        self, scope: Scope, role: Role, varbinds: Sequence[Varbind], bulk: Bulk, room: int
    ) -> bytes:
        """RFC 3416 4.2.3: as many as fit. Raises RequestError tooBig where not even the first one
        does: a manager that got an empty list would ask the same for ever."""
        tree = self._trees[role]
        split = min(max(bulk.non_repeaters, 0), len(varbinds))
        parts: list[bytes] = []
        left = room - _LIST_OVERHEAD
        try:
            for part in self._bulk(scope, tree, varbinds[:split], varbinds[split:], bulk, left):
                left -= len(part)
                if left < 0:
                    raise RequestError(ErrorStatus.TOO_BIG)
                parts.append(part)
        except RequestError as error:
            if not parts or error.status is not ErrorStatus.TOO_BIG:
                raise
        return ber.varbind_list(parts)

    def _bulk(
        self,
        scope: Scope,
        tree: Tree,
        singles: Sequence[Varbind],
        repeaters: Sequence[Varbind],
        bulk: Bulk,
        room: int,
    ) -> Iterator[bytes]:
        """Variable bindings of a GETBULK in order, as they are asked for, fit or not: `room` only
        says how many are worth reading at once. It ends when every repeater has come to the end of
        the view."""
        for one in singles:
            yield self._next(scope, tree, one.oid)
        repetitions = min(max(bulk.max_repetitions, 0), SNMP_ROWS_MAX)
        fit = room // (_VARBIND_OCTETS_MIN * max(1, len(repeaters))) + 1
        wanted = min(repetitions, fit)
        walks = [self._walk(scope, tree, one.oid, wanted) for one in repeaters]
        names = [ber.object_identifier(one.oid) for one in repeaters]
        varbind = ber.varbind
        for _ in range(repetitions):
            scope.check()
            going = False
            for at, walk in enumerate(walks):
                found = next(walk, None)
                if found is None:
                    yield varbind(names[at], _END)
                else:
                    going = True
                    names[at] = found[0]
                    yield varbind(*found)
            if not going:
                return

    def _next(self, scope: Scope, tree: Tree, oid: Oid) -> bytes:
        for found in self._walk(scope, tree, oid, 1):
            return ber.varbind(*found)
        return ber.varbind(ber.object_identifier(oid), _END)

    def _walk(
        self, scope: Scope, tree: Tree, oid: Oid, wanted: int
    ) -> Iterator[tuple[bytes, bytes]]:
        """Names and values behind `oid`, encoded, as long as there are any."""
        sub_identifiers = ber.sub_identifiers
        for node, after in tree.walk(oid):
            head = self._names[node.oid]
            for index, value in node.instances_after(scope, after, wanted):
                yield head + sub_identifiers(index), value


def _in_time(scope: Scope, varbinds: Sequence[Varbind]) -> Iterator[Varbind]:
    """One after the other. Raises RequestError tooBig once they take too long: asked for less at a
    time, they will not. The first one is always answered, for it cannot be asked for in parts."""
    for number, one in enumerate(varbinds):
        if number:
            scope.check()
        yield one


def _fitting(parts: Iterable[bytes], room: int) -> bytes:
    """All of them, or tooBig as soon as they do not fit."""
    left = room - _LIST_OVERHEAD
    found = []
    for part in parts:
        left -= len(part)
        if left < 0:
            raise RequestError(ErrorStatus.TOO_BIG)
        found.append(part)
    return ber.varbind_list(found)


def decode_request(octets: bytes) -> list[Varbind]:
    """The variable bindings of a request. Raises PacketError, or RequestError for too many; a
    value that is none of its type is for a SET to refuse."""
    try:
        return ber.decode_varbinds(octets, SNMP_REQUEST_VARBINDS_MAX, strict=False)
    except PacketError as error:
        if error.reason == "too_many_varbinds":
            raise RequestError(ErrorStatus.TOO_BIG) from None
        raise
