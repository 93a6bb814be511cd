"""What every store must do, whatever it keeps its rows in."""

# ruff: noqa: PT012 (a block that must raise is a transaction here)

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.clock import ClockAnchor
from agent.errors import StoreError
from agent.kinds.scope import GLOBAL, subnet_scope
from agent.limits import BLOCK_ADDRESSES, COUNT_RUN
from agent.model import (
    NEVER,
    AddressState,
    Ballot,
    BallotNumber,
    BindingState,
    Change,
    ChangeKind,
    ConfigRecord,
    ConfigRow,
    Option,
    Pool,
    Quarantine,
    Reservation,
    Service,
    Setting,
    SettingName,
    StreamHead,
    Subnet,
    Transaction,
    Version,
    configuration_key,
    stream_id,
)
from store import BindingCounts, SnmpUser, Store
from tests.store.conftest import ENGINE_ID
from tests.store.samples import BASE, NOW, address_range, binding, group, save

OWN = stream_id(1, 1)
OTHER = stream_id(2, 5)


# --- transactions


def test_a_block_that_raises_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.write() as tx:
        tx.save_bindings([binding(BASE)])
        raise RuntimeError
    with store.read() as tx:
        assert tx.bindings_by_address([BASE]) == {}
        assert tx.streams()[OWN].applied == 0


def test_a_failed_statement_voids_the_transaction_even_if_it_is_caught(store: Store) -> None:
    broken = binding(BASE + 1, epoch=-1)
    with pytest.raises(StoreError), store.write() as tx:
        tx.save_bindings([binding(BASE)])
        with pytest.raises(StoreError, match="ck_binding_versions"):
            tx.save_bindings([broken])
    with store.write() as tx:
        assert tx.bindings_by_address([BASE]) == {}
        tx.save_bindings([binding(BASE)])
    with store.read() as tx:
        assert BASE in tx.bindings_by_address([BASE])


def test_a_transaction_ends_with_its_block(store: Store) -> None:
    with store.write() as tx:
        pass
    with pytest.raises(AssertionError, match="is over"):
        tx.local()


def test_a_read_transaction_cannot_write(store: Store) -> None:
    with pytest.raises(AssertionError, match="cannot write"), store.read() as tx:
        tx.set_serving(True, since=0)


def test_write_inside_write_is_our_bug(store: Store) -> None:
    with store.write(), pytest.raises(AssertionError, match="inside another"), store.write():
        pass
    with store.write():
        pass


def test_a_full_disk_is_a_store_error_and_passes(store: Store) -> None:
    bindings = [binding(BASE + i, i) for i in range(2000)]
    with store.write() as tx:
        tx.save_bindings(bindings[:1])
    with store._cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="the disk is full"), store.write() as tx:
        tx.save_bindings(bindings)
    with store._cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1000000")
    with store.write() as tx:
        assert tx.streams()[OWN].applied == 1
        assert len(save(tx, bindings)) == 2000


# --- this member


def test_local_row(store: Store) -> None:
    with store.write() as tx:
        local = tx.local()
        assert (local.member, local.incarnation, local.engine_id) == (1, 1, ENGINE_ID)
        assert local.serving is False
        tx.set_serving(True, since=0)
        assert tx.local().answers_clients
        for service in Service:
            tx.set_service(service)
            assert tx.local().service is service
            assert tx.local().answers_clients is (service is Service.RUNNING)
        assert [tx.next_poll_counter(), tx.next_poll_counter()] == [1, 2]
        tx.begin_incarnation(4)
    with store.read() as tx:
        local = tx.local()
        assert (local.serving, local.incarnation, local.poll_counter) == (True, 4, 2)
        assert tx.streams().keys() == {OWN, stream_id(1, 4)}


def test_an_incarnation_never_goes_back(store: Store) -> None:
    with pytest.raises(AssertionError), store.write() as tx:
        tx.begin_incarnation(1)


def test_boots_are_counted(store: Store) -> None:
    assert [store.begin_boot(), store.begin_boot()] == [1, 2]


def test_the_clock_anchor_lasts_as_long_as_the_boot(store: Store) -> None:
    first, later, rebooted = (
        ClockAnchor("boot-a", 5),
        ClockAnchor("boot-a", 9),
        ClockAnchor("boot-b", 7),
    )
    assert store.clock_anchor(lambda: first) == first
    assert store.clock_anchor(lambda: later) == first
    assert store.clock_anchor(lambda: rebooted) == rebooted


# --- bindings


def test_a_binding_comes_back_field_by_field(store: Store) -> None:
    odd = binding(
        0xFFFF_FFFF,
        client_key=b"\x00\xff\x00",
        client_id=None,
        hardware_type=255,
        hardware_address=b"",
        hostname="bücher",
        state=BindingState.UNAVAILABLE,
        expires_at=NEVER,
        potential_expires_at=NEVER,
        transaction=Transaction.CONFLICT,
        options=bytes(range(256)),
    )
    with store.write() as tx:
        (saved,) = save(tx, [odd])
    assert saved == odd._replace(stream=OWN, seq=1)
    with store.read() as tx:
        (read,) = tx.bindings_by_address([odd.address]).values()
    assert read == saved
    assert type(read.client_key) is bytes
    assert type(read.state) is BindingState
    assert type(read.transaction) is Transaction


def test_saving_numbers_and_logs_each_change(store: Store) -> None:
    with store.write() as tx:
        first = save(tx, [binding(BASE + 1), binding(BASE)])
        second = save(tx, [binding(BASE, 2, grant=2)])
        assert save(tx, []) == []
    assert [(b.stream, b.seq) for b in first + second] == [(OWN, 1), (OWN, 2), (OWN, 3)]
    with store.read() as tx:
        assert tx.changes(OWN, 0, 10) == [
            Change(OWN, 1, ChangeKind.BINDING, BASE + 1),
            Change(OWN, 2, ChangeKind.BINDING, BASE),
            Change(OWN, 3, ChangeKind.BINDING, BASE),
        ]
        assert tx.streams() == {OWN: StreamHead(OWN, 3, 0, 0)}
        assert tx.bindings_by_address([BASE])[BASE] == second[0]
        assert tx.bindings_by_client([first[1].client_key]) == {first[0].client_key: [first[0]]}


def test_the_last_of_several_writes_of_one_address_stands(store: Store) -> None:
    """The way for an unchanged client and the way for a changed one must not reorder them."""
    with store.write() as tx:
        tx.save_bindings([binding(BASE, 1)])
        saved = save(tx, [binding(BASE, 2), binding(BASE, 1, grant=3), binding(BASE + 1)])
    with store.read() as tx:
        assert tx.bindings_by_address([BASE]) == {BASE: saved[1]}
        assert BASE not in [
            b.address
            for found in tx.bindings_by_client([binding(BASE, 2).client_key]).values()
            for b in found
        ]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 33, 511, 513, 1500])
def test_lists_of_any_length(store: Store, count: int) -> None:
    bindings = [binding(BASE + i, i) for i in range(count)]
    with store.write() as tx:
        saved = save(tx, bindings)
        tx.save_bindings([binding(BASE + 5000, 5000)])
    with store.read() as tx:
        assert list(tx.bindings_by_address({b.address for b in bindings}).values()) == saved
        by_client = tx.bindings_by_client([b.client_key for b in bindings])
        assert by_client == {b.client_key: [b] for b in saved}


def test_a_client_with_several_addresses(store: Store) -> None:
    with store.write() as tx:
        tx.save_bindings([binding(BASE + i, 7) for i in (3, 1, 2)])
        found = tx.bindings_by_client([binding(0, 7).client_key, b"nobody"])
    assert [b.address for b in found[binding(0, 7).client_key]] == [BASE + 1, BASE + 2, BASE + 3]
    assert b"nobody" not in found


def test_merged_rows_keep_their_number_and_are_not_logged(store: Store) -> None:
    row = binding(BASE, stream=OTHER, seq=44)
    with store.write() as tx:
        tx.put_bindings([row])
        tx.put_bindings([])
    with store.read() as tx:
        assert tx.bindings_by_address([BASE]) == {BASE: row}
        assert tx.next_change(0, 0) is None
        assert tx.streams()[OWN].applied == 0


def test_ranges_of_bindings(store: Store) -> None:
    with store.write() as tx:
        saved = save(
            tx,
            [binding(BASE + i, i, epoch=1 + i % 2, transaction_server=1 + i % 3) for i in range(9)],
        )
    with store.read() as tx:
        assert tx.bindings_in_range(BASE + 2, BASE + 5, 3) == saved[2:5]
        assert tx.bindings_after(BASE + 6, 9) == saved[7:]
        assert tx.bindings_after(-1, 2) == saved[:2]
        assert tx.bound_addresses(BASE, BASE + 8, 2) == [BASE + i for i in (1, 3, 5, 7)]
        assert len(tx.bound_addresses(BASE + 1, BASE + 2, 1)) == 2


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_blocks_are_whole_and_none_is_lost(store: Store, limit: int) -> None:
    offsets = [0, 1, 15, 16, 200, *range(320, 340), 1000]
    with store.write() as tx:
        saved = save(tx, [binding(BASE + i, i) for i in offsets])
    seen = []
    last = -1
    with store.read() as tx:
        while blocks := tx.binding_blocks(last, limit):
            assert len(blocks) <= limit
            for number, bindings in blocks:
                assert number > last
                assert {b.address // BLOCK_ADDRESSES for b in bindings} == {number}
                last = number
                seen += bindings
        assert tx.local()
    assert seen == saved


def test_counts(store: Store) -> None:
    with store.write() as tx:
        tx.save_bindings(
            [
                binding(BASE, 0),
                binding(BASE + 1, 1, expires_at=NOW),
                binding(BASE + 2, 2, state=BindingState.RELEASED),
                binding(BASE + 3, 3, state=BindingState.UNAVAILABLE),
                binding(BASE + 4, 4),
                binding(BASE + 5, 5),
            ]
        )
        assert tx.count_bindings(BASE, BASE + 4, NOW) == BindingCounts(2, 1, 1, 1)
        assert tx.count_bindings(0, 5, NOW) == BindingCounts(0, 0, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"address": -1},
        {"address": 1 << 32},
        {"epoch": -1},
        {"grant": -1},
        {"potential_expires_at": NOW},
        {"acknowledged_at": -1},
        {"hostname": b"octets"},
        {"hostname": None},
        {"seq": 0},
        {"seq": 1 << 63},
    ],
    ids=str,
)
def test_a_row_that_breaks_a_rule_is_refused(store: Store, changes: dict[str, object]) -> None:
    row = binding(BASE, stream=OTHER, seq=1)._replace(**changes)  # type: ignore[arg-type]
    with pytest.raises(StoreError), store.write() as tx:
        tx.put_bindings([row])


# --- counting

RUN = BASE - BASE % COUNT_RUN


def test_bound_addresses_are_counted_by_runs(store: Store) -> None:
    rows = [binding(RUN + i, client=i, epoch=4 if i % 2 else 5) for i in range(COUNT_RUN)]
    rows.append(binding(RUN + 2 * COUNT_RUN, client=9_999, epoch=7))
    with store.write() as tx:
        tx.save_bindings(rows)
    with store.read() as tx:
        assert tx.bound_counts(RUN, 0xFFFF_FFFF, 4) == [
            (RUN, COUNT_RUN), (RUN + 2 * COUNT_RUN, 1),
        ]  # fmt: skip
        assert tx.bound_counts(RUN, RUN + COUNT_RUN, 5) == [(RUN, COUNT_RUN // 2)]
        assert tx.bound_counts(RUN + 1, RUN + 4, 4) == [(RUN, 4)]
        assert tx.bound_counts(RUN, 0xFFFF_FFFF, 8) == []


def test_leased_addresses_are_counted_a_part_at_a_time(store: Store) -> None:
    ended, released = {"expires_at": NOW}, {"state": BindingState.RELEASED}
    rows = [binding(RUN + i, client=i, **(ended if i < 10 else {})) for i in range(COUNT_RUN)]
    rows += [
        binding(RUN + COUNT_RUN + i, client=1_000 + i, **(released if i < 7 else {}))
        for i in range(COUNT_RUN)
    ]
    with store.write() as tx:
        tx.save_bindings(rows)
    every = [(RUN, COUNT_RUN - 10), (RUN + COUNT_RUN, COUNT_RUN - 7)]
    last = RUN + 5 * COUNT_RUN
    with store.read() as tx:
        assert tx.leased_counts(RUN, last, NOW, 3 * COUNT_RUN) == (every, last)
        cut = tx.leased_counts(RUN, last, NOW, COUNT_RUN + 20)
        assert cut == (every[:1], RUN + COUNT_RUN - 1)
        assert tx.leased_counts(cut.reached + 1, last, NOW, 2 * COUNT_RUN) == (every[1:], last)
        assert tx.leased_counts(last, last, NOW, 2 * COUNT_RUN) == ([], last)
        assert tx.leased_counts(RUN, last, NOW + 10**6, 3 * COUNT_RUN) == (
            [(RUN, 0), (RUN + COUNT_RUN, 0)], last,
        )  # fmt: skip


# --- address ranges


def test_ranges_are_replaced_and_found_whole(store: Store) -> None:
    low, middle, high = (
        address_range(10, 19),
        address_range(20, 29, state=AddressState.PROMISED, member=9),
        address_range(40, 49, state=AddressState.POLLING, epoch=8),
    )
    with store.write() as tx:
        tx.replace_address_ranges([], [high, low, middle])
        version = tx.local().ownership_version
    with store.write() as tx:
        assert tx.address_ranges(0, 0xFFFF_FFFF) == [low, middle, high]
        assert tx.address_ranges(19, 20) == [low, middle]
        assert tx.address_ranges(30, 39) == []
        assert tx.address_ranges(45, 45) == [high]
        assert tx.address_ranges_after(10, 1) == [middle]
        tx.replace_address_ranges([middle], [address_range(22, 23), address_range(30, 39)])
        assert [(r.first, r.last) for r in tx.address_ranges(0, 99)] == [
            (10, 19), (22, 23), (30, 39), (40, 49),
        ]  # fmt: skip
        assert tx.local().ownership_version == version + 1


def test_ranges_are_found_by_their_state(store: Store) -> None:
    state = AddressState.TRANSFERRING
    mine, given, more = (
        address_range(10, 19),
        address_range(20, 29, state=state, member=2),
        address_range(5, 6, state=state, member=3),
    )
    with store.write() as tx:
        tx.replace_address_ranges([], [mine, given, more])
        assert tx.address_ranges_in(state) == [more, given]
        assert tx.address_ranges_in(AddressState.POLLING) == []


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        ([], [(15, 25)]),
        ([], [(0, 10)]),
        ([], [(29, 30)]),
        ([], [(12, 13)]),
        ([], [(0, 99)]),
        ([], [(50, 60), (60, 61)]),
        ([(10, 18)], []),
        ([(50, 60)], [(50, 60)]),
        ([(10, 19)], [(10, 20)]),
    ],
)
def test_an_overlap_is_our_bug(
    store: Store, removed: list[tuple[int, int]], added: list[tuple[int, int]]
) -> None:
    before = [address_range(10, 19), address_range(20, 29)]
    with store.write() as tx:
        tx.replace_address_ranges([], before)
    with pytest.raises(AssertionError), store.write() as tx:
        tx.replace_address_ranges(
            [address_range(*ends) for ends in removed], [address_range(*ends) for ends in added]
        )
    with store.read() as tx:
        assert tx.address_ranges(0, 99) == before


# --- streams and the change log


def test_a_stream_never_goes_back(store: Store) -> None:
    with store.write() as tx:
        tx.advance_stream(OTHER, 10)
        tx.advance_stream(OTHER, 7, log_from=5)
        assert tx.streams()[OTHER] == StreamHead(OTHER, 10, 0, 0)
        tx.advance_stream(OTHER, 20, log_from=15)
        tx.advance_stream(OTHER, 30, log_from=3)
        assert tx.streams()[OTHER] == StreamHead(OTHER, 30, 15, 0)


def test_acknowledged_is_never_above_applied(store: Store) -> None:
    with store.write() as tx:
        tx.advance_stream(OTHER, 10)
        tx.save_bindings([binding(BASE)])
        tx.set_acknowledged({OTHER: 12, OWN: 1, stream_id(9, 9): 3})
        heads = tx.streams()
    assert heads.keys() == {OWN, OTHER}
    assert heads[OTHER].acknowledged == 10
    assert heads[OWN].acknowledged == 1


def test_the_log_of_others(store: Store) -> None:
    changes = [
        Change(OTHER, 5, ChangeKind.BINDING, BASE),
        Change(OTHER, 6, ChangeKind.POOL, "10.0.0.1-10.0.0.9"),
        Change(OTHER, 8, ChangeKind.BINDING, BASE + 1),
    ]
    with store.write() as tx:
        tx.log_changes(changes)
        tx.log_changes([changes[0]._replace(key=BASE + 9)])
        tx.log_changes([])
        assert tx.streams()[OTHER] == StreamHead(OTHER, 0, 0, 0)
        tx.advance_stream(OTHER, 8)
        tx.save_bindings([binding(BASE + 3)])
        assert tx.changes(OTHER, 0, 9) == changes
        assert tx.changes(OTHER, 5, 1) == changes[1:2]
        assert tx.next_change(0, 0) == Change(OWN, 1, ChangeKind.BINDING, BASE + 3)
        assert tx.next_change(OWN, 1) == changes[0]
        assert tx.next_change(OTHER, 6) == changes[2]
        assert tx.next_change(OTHER, 8) is None
        tx.trim_changes(OTHER, 6)
        tx.trim_changes(OTHER, 5)
        assert tx.changes(OTHER, 0, 9) == changes[2:]
        assert tx.streams()[OTHER] == StreamHead(OTHER, 8, 6, 0)
        tx.trim_changes(OTHER, 99)
        assert tx.streams()[OTHER] == StreamHead(OTHER, 8, 8, 0)
        assert tx.changes(OWN, 0, 9)


# --- configuration

ROWS: list[ConfigRow] = [
    Subnet(BASE, 8, "eth0", "lan", active=False),
    Pool(BASE + 10, BASE + 99, "desks"),
    Option(*GLOBAL, 15, b"example.org"),
    Reservation(BASE + 5, b"\x00\x01abc", "printer"),
    Setting(*GLOBAL, SettingName.LEASE, 600),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: type(row).__name__)
def test_configuration_row(store: Store, row: ConfigRow) -> None:
    kind, key = configuration_key(row)
    with store.write() as tx:
        version = tx.local().configuration_version
        tx.save_configuration([(row, False)])
        assert tx.local().configuration_version > version
    with store.write() as tx:
        record = tx.configuration_record(kind, key)
        assert record == ConfigRecord(row, Version(1, 1), False, OWN, 1)
        assert tx.configuration(kind) == [record]
        assert tx.changes(OWN, 0, 9) == [Change(OWN, 1, kind, key)]
        tx.save_configuration([(row, True)])
        assert tx.configuration_record(kind, key) == ConfigRecord(row, Version(2, 1), True, OWN, 2)


def test_a_new_version_follows_every_version_seen(store: Store) -> None:
    seen = ConfigRecord(ROWS[1], Version(41, 2), True, OTHER, 3)
    with store.write() as tx:
        tx.put_configuration([seen])
        assert tx.configuration(ChangeKind.POOL) == [seen]
        assert tx.next_change(0, 0) is None
        tx.save_configuration([(row, False) for row in ROWS])
        records = [record for kind in ChangeKind if kind > 1 for record in tx.configuration(kind)]
    assert sorted(r.version.counter for r in records) == [42, 43, 44, 45, 46]


def test_configuration_in_key_order(store: Store) -> None:
    options = [Option(*subnet_scope(n, length), code, b"x") for n, length, code in
               [(BASE, 8, 3), (BASE, 16, 1), (BASE + 256, 24, 3)]]  # fmt: skip
    options = [Option(*GLOBAL, 6, b"x"), Option(*GLOBAL, 15, b"x"), *options]
    with store.write() as tx:
        tx.save_configuration([(option, False) for option in reversed(options)])
        assert [r.row for r in tx.configuration(ChangeKind.OPTION)] == options

        def after(*place: int | bytes) -> list[ConfigRow]:
            return [r.row for r in tx.configuration_after(ChangeKind.OPTION, place, 2)]

        assert after() == options[:2]
        assert after(1, 0, b"", 6) == options[1:3]
        assert after(3) == options[2:4]
        assert after(3, 10, b"10.0.0.0/8") == options[2:4]
        assert after(3, 10, b"10.0.0.0/8", 3) == options[3:]
        assert after(3, 11, b"10.0.0.0/") == options[3:], "a text goes by its length first"
        assert after(3, 11) == options[3:]
        assert after(3, 11, b"10.0.1.0/24", 3) == []


@pytest.mark.parametrize("key", ["", "subnet", "lan 10.0.0.0/8:1", "global :x", "global :255"])
def test_a_key_that_is_none_is_named(store: Store, key: str) -> None:
    with store.read() as tx, pytest.raises(ValueError, match="is no key of a option"):
        tx.configuration_record(ChangeKind.OPTION, key)


# --- the group


def test_a_group_replaces_the_one_before_and_forgets_acknowledgements(store: Store) -> None:
    with store.write() as tx:
        assert tx.group() is None
        tx.put_group(group())
        tx.advance_stream(OTHER, 5)
        tx.set_acknowledged({OTHER: 5})
    smaller = group(2, members=group().members[1:])
    with store.write() as tx:
        assert tx.group() == group()
        version = tx.local().configuration_version
        tx.put_group(smaller)
        assert tx.group() == smaller
        assert tx.streams()[OTHER].acknowledged == 0
        assert tx.local().configuration_version == version + 1


def test_ballots(store: Store) -> None:
    promised = Ballot(3, BallotNumber(1, 2))
    accepted = Ballot(3, BallotNumber(5, 1), BallotNumber(4, 2), group(4))
    with store.write() as tx:
        assert tx.ballot(3) is None
        tx.put_ballot(promised)
        assert tx.ballot(3) == promised
        tx.put_ballot(accepted)
    with store.read() as tx:
        assert tx.ballot(3) == accepted
        assert tx.ballot(4) is None


def test_quarantines(store: Store) -> None:
    one, other = Quarantine(3, 200, 60), Quarantine(5, 100, 90)
    with store.write() as tx:
        assert tx.quarantines() == []
        tx.put_quarantine(one)
        tx.put_quarantine(other)
        tx.put_quarantine(replace(one, mul_s=30))
    with store.write() as tx:
        assert tx.quarantines() == [other, replace(one, mul_s=30)]
        tx.delete_quarantine(5)
        assert tx.quarantines() == [replace(one, mul_s=30)]


# --- counters, users, audit


def test_counters_add_up(store: Store) -> None:
    with store.write() as tx:
        tx.add_counters({"discover": 3, "dropped.truncated": 1})
        tx.add_counters({"discover": 4})
        tx.add_counters({})
    with store.read() as tx:
        assert tx.counters() == {"discover": 7, "dropped.truncated": 1}


def test_snmp_users(store: Store) -> None:
    peer = SnmpUser("peer", "peer", "sha256", "aes128", b"a" * 32, b"p" * 16, b"A" * 32, b"P" * 32)
    operator = SnmpUser("admin", "operator", "sha256", "aes128", b"a" * 32, b"p" * 16)
    with store.write() as tx:
        tx.put_snmp_user(peer)
        tx.put_snmp_user(replace(operator, auth_key=b"old"))
        tx.put_snmp_user(operator)
    with store.write() as tx:
        assert tx.snmp_users() == [operator, peer]
        assert tx.delete_snmp_user("peer")
        assert not tx.delete_snmp_user("peer")
        assert tx.snmp_users() == [operator]
    for bad in (replace(peer, priv_master=None), replace(operator, auth_master=b"A" * 32)):
        with pytest.raises(StoreError, match="ck_snmp_user_master"), store.write() as tx:
            tx.put_snmp_user(bad)


def test_the_audit_chain_shows_what_was_altered(store: Store) -> None:
    with store.write() as tx:
        assert tx.verify_audit() == 0
        for i in range(5):
            tx.audit("admin", "set", f"subnet {i}", NOW + i)
        assert tx.verify_audit() == 5
        assert [e.detail for e in tx.audit_after(2, 2)] == ["subnet 2", "subnet 3"]
    for sql, words in (
        ("UPDATE audit SET detail = 'nothing' WHERE seq = 3", "entry 3 or one before it"),
        ("UPDATE audit SET user = 'adm', action = 'inset' WHERE seq = 2", "entry 2 or one"),
        ("DELETE FROM audit WHERE seq = 4", "entry 4 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1 is missing"),
    ):
        with pytest.raises(StoreError, match=words), store.write() as tx:
            tx.change(sql)
            tx.verify_audit()


# --- in memory only


def test_a_snapshot_is_a_disk_to_go_back_to() -> None:
    store = Store.in_memory(member=4, incarnation=2)
    with store.write() as tx:
        tx.save_bindings([binding(BASE)])
    kept = store.snapshot()
    with store.write() as tx:
        tx.save_bindings([binding(BASE + 1, 2)])
    for _ in range(2):
        back = Store.from_snapshot(kept)
        with back.write() as tx:
            assert tx.local().member == 4
            assert [b.address for b in tx.bindings_after(-1, 9)] == [BASE]
            assert tx.save_bindings([binding(BASE + 1, 3)]) == 2
        with pytest.raises(RuntimeError), back.write() as tx:
            tx.save_bindings([binding(BASE + 2, 3)])
            raise RuntimeError
        with back.read() as tx:
            assert len(tx.bindings_after(-1, 9)) == 2
        back.close()
    with store.read() as tx:
        assert len(tx.bindings_after(-1, 9)) == 2
    store.close()
