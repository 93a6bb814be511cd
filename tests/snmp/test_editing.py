"""RFC 3416 4.2.5: the error-index of a SET names the variable binding at fault, where what is wrong
shows only beside rows that are there."""

from __future__ import annotations

import pytest

from agent.kinds.scope import subnet_scope
from agent.model import ConfigRow, Option, Pool, Subnet, parse_address
from agent.snmp import ber, columns
from agent.snmp.assignment import gather
from agent.snmp.ber import Varbind
from agent.snmp.columns import RowStatus, Table
from agent.snmp.editing import edit
from agent.snmp.oid import Oid
from agent.snmp.status import ErrorStatus, RequestError
from agent.snmp.view import Role

LAN = Subnet(parse_address("10.4.0.0"), 16, name="lan")
POOL = Pool(parse_address("10.4.1.0"), parse_address("10.4.1.99"), "all")
PRESENT = (LAN, POOL, Option(*subnet_scope(LAN.network, 16), 6, bytes((10, 4, 0, 2))))
LAN_INDEX = (10, 4, 0, 0, 16)
POOL_INDEX = (10, 4, 1, 0, 10, 4, 1, 99)


def text(table: Table, index: Oid) -> Varbind:
    return Varbind((*table["Name"].oid, *index), ber.OCTETS, b"new")


def status(table: Table, index: Oid, value: RowStatus) -> Varbind:
    return Varbind((*table["RowStatus"].oid, *index), ber.INTEGER, int(value))


def value(code: int, octets: bytes) -> Varbind:
    return Varbind((*columns.OPTION["Value"].oid, 1, 0, code), ber.OCTETS, octets)


def refusal(varbinds: list[Varbind], present: tuple[ConfigRow, ...] = PRESENT) -> RequestError:
    with pytest.raises(RequestError) as caught:
        edit(present, gather(Role.OPERATOR, varbinds), lambda *_: 0, 0)
    return caught.value


GO, DESTROY = RowStatus.CREATE_AND_GO, RowStatus.DESTROY
HARMLESS = text(columns.SUBNET, LAN_INDEX)
NEW_LAN = status(columns.SUBNET, (10, 9, 0, 0, 16), GO)
HOST = status(columns.RESERVATION, (10, 9, 0, 9), GO)
CLIENT = Varbind(
    (*columns.RESERVATION["HardwareAddress"].oid, 10, 9, 0, 9), ber.OCTETS, b"\2\0\0\0\0\1"
)


@pytest.mark.parametrize(
    ("varbinds", "at"),
    [
        # The error names the row that is there, with the higher address of two that overlap.
        ([NEW_LAN, status(columns.SUBNET, (10, 4, 0, 0, 14), GO)], 2),
        ([NEW_LAN, status(columns.POOL, (10, 4, 0, 9, 10, 4, 1, 0), GO)], 2),
        # That row may be in the SET too, for something that is right.
        ([HARMLESS, status(columns.SUBNET, (10, 4, 0, 0, 14), GO)], 2),
        ([text(columns.POOL, POOL_INDEX), status(columns.SUBNET, LAN_INDEX, DESTROY)], 2),
        # What depends on the row that goes is not in the SET.
        ([NEW_LAN, HARMLESS, status(columns.SUBNET, LAN_INDEX, DESTROY)], 3),
        # Of the row's own the column that the error names, and else the first.
        ([status(columns.OPTION, (1, 0, 3), GO), value(3, b"\n\0\0")], 2),
        ([HARMLESS, CLIENT, HOST], 2),
        ([status(columns.SUBNET, (10, 4, 0, 0, 14), GO)], 1),
    ],
)
def test_rfc3416_4_2_5_the_change_at_fault(varbinds: list[Varbind], at: int) -> None:
    found = refusal(varbinds)
    assert (found.status, found.index) == (ErrorStatus.INCONSISTENT_VALUE, at), found


def test_rfc3416_4_2_5_types_are_judged_before_whether_there_can_be_such_a_row() -> None:
    name = (*columns.SUBNET["Name"].oid, 1, 2, 3)
    assert refusal([Varbind(name, ber.INTEGER, 5)]).status is ErrorStatus.WRONG_TYPE
    assert refusal([Varbind(name, ber.OCTETS, b"x")]).status is ErrorStatus.NO_CREATION


def test_rows_that_do_not_go_together_by_themselves_are_the_first_ones_fault() -> None:
    """As a merge of two members' edits may leave them."""
    twin = Pool(POOL.first + 9, POOL.last + 9)
    assert refusal([HARMLESS], (*PRESENT, twin)).index == 1
    unchanged = status(columns.SUBNET, LAN_INDEX, RowStatus.ACTIVE)
    assert refusal([unchanged], (*PRESENT, twin)).index == 1
