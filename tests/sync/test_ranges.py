"""The arithmetic of ranges against a model that holds every single address."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import AddressRange, AddressState, Nonce
from agent.sync import ranges

TOP = 40


def make(first: int, last: int, state: int, member: int = 1, epoch: int = 1) -> AddressRange:
    return AddressRange(first, last, AddressState(state), epoch, member, Nonce(0, 0), 0)


def of_member(member: int) -> Callable[[AddressRange], bool]:
    return lambda row: row.member == member


spans = st.lists(st.tuples(st.integers(0, TOP), st.integers(0, TOP)), max_size=6).map(
    lambda pairs: ranges.union((min(p), max(p)) for p in pairs)
)


def addresses(some: list[ranges.Span]) -> set[int]:
    return {a for first, last in some for a in range(first, last + 1)}


def in_order(some: list[ranges.Span]) -> bool:
    flat = [edge for span in some for edge in span]
    return flat == sorted(flat) and len({first for first, _ in some}) == len(some)


@given(spans, spans)
def test_sets_of_spans(a: list[ranges.Span], b: list[ranges.Span]) -> None:
    for result, expected in (
        (ranges.union([*a, *b]), addresses(a) | addresses(b)),
        (ranges.intersect(a, b), addresses(a) & addresses(b)),
        (ranges.subtract(a, b), addresses(a) - addresses(b)),
    ):
        assert addresses(result) == expected
        assert ranges.size(result) == len(expected)
        assert in_order(result)


@given(spans, st.integers(0, 60))
def test_take(a: list[ranges.Span], count: int) -> None:
    assert addresses(ranges.take(a, count)) == set(sorted(addresses(a))[:count])


steps = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(0, TOP),
        st.integers(0, TOP),
        st.integers(1, 4),
        st.integers(1, 2),
    ),
    max_size=25,
)


@settings(max_examples=300)
@given(steps)
def test_lay_and_clear_keep_every_other_address(
    todo: list[tuple[bool, int, int, int, int]],
) -> None:
    rows: set[AddressRange] = set()
    model: dict[int, tuple[int, int]] = {}
    for laying, a, b, state, member in todo:
        first, last = min(a, b), max(a, b)
        reach = ranges.around(first, last)
        existing = sorted(
            (r for r in rows if r.first <= reach[1] and r.last >= reach[0]),
            key=lambda r: r.first,
        )
        if laying:
            removed, added = ranges.lay(existing, make(first, last, state, member))
            model.update(dict.fromkeys(range(first, last + 1), (state, member)))
        else:
            removed, added = ranges.clear(existing, first, last, of_member(member))
            for x in range(first, last + 1):
                if x in model and model[x][1] == member:
                    del model[x]
        assert set(removed) <= rows
        rows = (rows - set(removed)) | set(added)
        held = {x: (int(r.state), r.member) for r in rows for x in range(r.first, r.last + 1)}
        assert held == model
        assert sum(r.last - r.first + 1 for r in rows) == len(model)


def test_neighbours_that_say_the_same_become_one_row() -> None:
    left, right = make(0, 9, 2), make(20, 29, 2)
    removed, added = ranges.lay([left, right], make(10, 19, 2))
    assert set(removed) == {left, right}
    assert added == [make(0, 29, 2)]


def test_laying_the_middle_of_the_same_changes_nothing() -> None:
    assert ranges.lay([make(0, 29, 2)], make(10, 19, 2)) == ([], [])
