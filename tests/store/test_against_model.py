"""Random histories against plain dictionaries, with snapshots to go back to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agent.model import AddressRange, Binding, Change, ChangeKind, stream_id
from store import Store
from tests.store.samples import BASE, address_range, binding, save

OWN = stream_id(1, 1)
SPAN = 24
OTHERS = [stream_id(2, 1), stream_id(3, 1)]

addresses = st.integers(BASE, BASE + SPAN - 1)
bindings = st.builds(
    binding, addresses, st.integers(0, 4), epoch=st.integers(0, 3), grant=st.integers(0, 9)
)


class Model:
    """What the store should hold."""

    def __init__(self) -> None:
        self.bindings: dict[int, Binding] = {}
        self.log: dict[tuple[int, int], Change] = {}
        self.applied = dict.fromkeys((OWN, *OTHERS), 0)
        self.log_from = dict.fromkeys((OWN, *OTHERS), 0)
        self.owner: dict[int, AddressRange] = {}

    def copy(self) -> Model:
        other = Model()
        for name, value in vars(self).items():
            setattr(other, name, dict(value))
        return other


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store.in_memory()
        self.model = Model()
        with self.store.write() as tx:
            for stream in OTHERS:
                tx.advance_stream(stream, 0)
                tx.log_changes([Change(stream, 1, ChangeKind.BINDING, 0)])
                tx.trim_changes(stream, 0)
        for stream in OTHERS:
            self.model.log[stream, 1] = Change(stream, 1, ChangeKind.BINDING, 0)
        self.kept = (self.store.snapshot(), self.model.copy())

    @rule(rows=st.lists(bindings, max_size=5))
    def save(self, rows: list[Binding]) -> None:
        with self.store.write() as tx:
            saved = save(tx, rows)
        for row, written in zip(rows, saved, strict=True):
            seq = self.model.applied[OWN] = self.model.applied[OWN] + 1
            assert written == row._replace(stream=OWN, seq=seq)
            self.model.bindings[row.address] = written
            self.model.log[OWN, seq] = Change(OWN, seq, ChangeKind.BINDING, row.address)

    @rule(
        stream=st.sampled_from(OTHERS),
        rows=st.lists(bindings, min_size=1, max_size=5),
        skip=st.integers(0, 3),
    )
    def merge(self, stream: int, rows: list[Binding], skip: int) -> None:
        first = self.model.applied[stream] + 1 + skip
        merged = [r._replace(stream=stream, seq=seq) for seq, r in enumerate(rows, first)]
        changes = [Change(stream, b.seq, ChangeKind.BINDING, b.address) for b in merged]
        with self.store.write() as tx:
            tx.put_bindings(merged)
            tx.log_changes(changes)
            tx.advance_stream(stream, merged[-1].seq)
        for row, change in zip(merged, changes, strict=True):
            self.model.bindings[row.address] = row
            self.model.log.setdefault((stream, row.seq), change)
        self.model.applied[stream] = merged[-1].seq

    @rule(stream=st.sampled_from([OWN, *OTHERS]), through=st.integers(0, 20))
    def trim(self, stream: int, through: int) -> None:
        with self.store.write() as tx:
            tx.trim_changes(stream, through)
        through = min(through, self.model.applied[stream])
        if through > self.model.log_from[stream]:
            self.model.log_from[stream] = through
            for key in [k for k in self.model.log if k[0] == stream and k[1] <= through]:
                del self.model.log[key]

    @rule(first=addresses, length=st.integers(1, SPAN), epoch=st.integers(0, 5))
    def own(self, first: int, length: int, epoch: int) -> None:
        """Take first..last for a new range; what it covers of others is cut away."""
        last = min(first + length - 1, BASE + SPAN - 1)
        new = address_range(first, last, epoch=epoch)
        with self.store.write() as tx:
            removed = tx.address_ranges(first, last)
            rest = [replace(r, last=first - 1) for r in removed if r.first < first]
            rest += [replace(r, first=last + 1) for r in removed if r.last > last]
            tx.replace_address_ranges(removed, [*rest, new])
        for part in [*rest, new]:
            for address in range(part.first, part.last + 1):
                self.model.owner[address] = part

    @rule(address=addresses)
    def disown(self, address: int) -> None:
        with self.store.write() as tx:
            removed = tx.address_ranges(address, address)
            tx.replace_address_ranges(removed, [])
        gone = self.model.owner.get(address)
        assert removed == ([] if gone is None else [gone])
        self.model.owner = {a: r for a, r in self.model.owner.items() if r != gone}

    @rule()
    def keep(self) -> None:
        self.kept = (self.store.snapshot(), self.model.copy())

    @rule()
    def go_back(self) -> None:
        self.store.close()
        self.store = Store.from_snapshot(self.kept[0])
        self.model = self.kept[1].copy()

    @invariant()
    def the_same(self) -> None:
        model = self.model
        everywhere = range(BASE, BASE + SPAN)
        by_client: dict[bytes, list[Binding]] = {}
        for address in sorted(model.bindings):
            by_client.setdefault(model.bindings[address].client_key, []).append(
                model.bindings[address]
            )
        with self.store.read() as tx:
            assert tx.bindings_by_address(everywhere) == model.bindings
            assert tx.bindings_by_client([binding(0, n).client_key for n in range(5)]) == by_client
            assert tx.bound_addresses(BASE, BASE + SPAN, 2) == sorted(
                a for a, b in model.bindings.items() if b.epoch >= 2
            )
            ranges = sorted(set(model.owner.values()), key=lambda r: r.first)
            assert tx.address_ranges(0, 0xFFFF_FFFF) == ranges
            for address in everywhere:
                one = model.owner.get(address)
                assert tx.address_ranges(address, address) == ([one] if one else [])
            log = [c for stream in sorted(model.applied) for c in tx.changes(stream, 0, 10_000)]
            assert log == [model.log[key] for key in sorted(model.log)]
            heads = tx.streams()
            assert {s: h.applied for s, h in heads.items()} == model.applied
            assert {s: h.log_from for s, h in heads.items()} == model.log_from

    def teardown(self) -> None:
        self.store.close()


TestStoreAgainstModel = StoreMachine.TestCase
TestStoreAgainstModel.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True
)
