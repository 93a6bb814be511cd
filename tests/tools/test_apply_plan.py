"""The plan: what changes, in which order, and as which variable bindings."""

from __future__ import annotations

from agent.kinds.scope import host_scope, subnet_scope
from agent.model import ConfigRow, Option, Pool, Reservation, Subnet, parse_address
from agent.settings.validate import validate_configuration
from agent.snmp.columns import POOL, RowStatus
from tools.apply.plan import Action, changes, make_plan
from tools.apply.remote import assignments

NETWORK = parse_address("198.18.0.0")
HOST = parse_address("198.18.1.1")
LAN = Subnet(NETWORK, 15, name="lab")
RANGE = Pool(parse_address("198.18.16.0"), parse_address("198.18.16.255"))
ROUTERS = Option(*subnet_scope(NETWORK, 15), 3, bytes([198, 18, 0, 254]))
PRINTER = Reservation(HOST, b"\x00\x01\x02\x00\x00\x00\x00\x0a", "printer")
BOOT = Option(*host_scope(HOST), 67, b"x.img")
ALL: list[ConfigRow] = [BOOT, PRINTER, ROUTERS, RANGE, LAN]


def test_nothing_to_do_where_all_is_as_wished() -> None:
    assert make_plan(ALL, reversed(ALL)) == []


def test_rows_come_from_the_outermost_inwards_and_go_the_other_way() -> None:
    new = make_plan([], ALL)
    assert {step.action for step in new} == {Action.CREATE}
    assert [step.kind for step in new] == ["subnet", "pool", "reservation", "option", "option"]
    gone = make_plan(ALL, [])
    assert {step.action for step in gone} == {Action.DELETE}
    assert [step.row for step in gone] == [step.row for step in reversed(new)]


def test_each_prefix_of_the_plan_is_a_valid_configuration() -> None:
    for present, wanted in (([], ALL), (ALL, [])):
        plan = make_plan(present, wanted)
        for end in range(1, len(plan) + 1):
            validate_configuration(present, changes(plan[:end]), lambda _first, _last: 0)


def test_what_goes_makes_room_before_what_comes() -> None:
    larger = Pool(RANGE.first, RANGE.last + 100)
    plan = make_plan([LAN, RANGE], [LAN, larger])
    assert [(step.action, step.row) for step in plan] == [
        (Action.DELETE, RANGE),
        (Action.CREATE, larger),
    ]


def test_a_change_writes_only_what_differs() -> None:
    (step,) = make_plan([LAN], [Subnet(NETWORK, 15, offer_delay_s=6, name="lab", active=False)])
    assert step.action is Action.CHANGE
    assert step.describe() == "offer delay none -> 6 s, state none -> not in service"
    cells = {one.column.name: one.value for one in assignments(step)}
    assert cells == {
        "dhcpSyncSubnetOfferDelay": 6,
        "dhcpSyncSubnetRowStatus": RowStatus.NOT_IN_SERVICE,
    }


def test_a_pool_is_created_and_destroyed_under_its_two_addresses() -> None:
    (step,) = make_plan([], [RANGE])
    cells = assignments(step)
    assert {one.index for one in cells} == {(198, 18, 16, 0, 198, 18, 16, 255)}
    assert {one.column.name: one.value for one in cells} == {
        "dhcpSyncPoolName": b"",
        "dhcpSyncPoolRowStatus": RowStatus.CREATE_AND_GO,
    }
    (step,) = make_plan([RANGE], [])
    assert [(one.column, one.value) for one in assignments(step)] == [
        (POOL["RowStatus"], RowStatus.DESTROY)
    ]


def test_a_row_out_of_service_is_created_as_such() -> None:
    (step,) = make_plan([], [Pool(RANGE.first, RANGE.last, active=False)])
    assert [one.value for one in assignments(step)][-1] is RowStatus.CREATE_AND_WAIT


def test_steps_are_described_for_people() -> None:
    steps = {step.kind: step for step in make_plan([], [ROUTERS, PRINTER])}
    assert steps["option"].key == "subnet 198.18.0.0/15:3 (routers)"
    assert steps["option"].describe() == "value 198.18.0.254"
    assert steps["reservation"].describe() == (
        "client hardware address 02:00:00:00:00:0a, hostname printer"
    )


def test_hardware_that_is_no_ethernet_is_told_apart() -> None:
    other = Reservation(HOST, b"\x00\x06\x02\x00\x00\x00\x00\x0a", "printer")
    (step,) = make_plan([PRINTER], [other])
    assert step.describe() == (
        "client hardware address 02:00:00:00:00:0a -> hardware address 02:00:00:00:00:0a of type 6"
    )
