"""The table of moves (docs/protocol.md, "States of an address"): all of it, and everything that is
not in it."""

from __future__ import annotations

from itertools import product

import pytest

from agent.errors import IllegalTransitionError
from agent.model import AddressRange, AddressState, Nonce
from agent.sync import ownership
from agent.sync.ownership import MOVES, AddressEvent
from store import Store
from tests.sync.lan import POOL_FIRST, engine_id

EVERY_MOVE = list(product(AddressState, AddressEvent))
SPAN = (POOL_FIRST + 10, POOL_FIRST + 19)


def row(state: AddressState, member: int = 1, epoch: int = 4) -> AddressRange:
    return AddressRange(*SPAN, state, epoch, member, Nonce(1, 1), 1)


def store_with(state: AddressState) -> Store:
    store = Store.in_memory(member=1, engine_id=engine_id(1))
    if state is not AddressState.UNBINDABLE:
        with store.write() as tx:
            tx.replace_address_ranges([], [row(state)])
    return store


@pytest.mark.parametrize(("state", "event"), EVERY_MOVE, ids=lambda v: v.name)
def test_only_moves_of_the_table_are_made_in_the_store(
    state: AddressState, event: AddressEvent
) -> None:
    for target in AddressState:
        store = store_with(state)
        legal = MOVES.get((state, event)) is target

        def act(store: Store = store, target: AddressState = target) -> list[AddressRange]:
            with store.write() as tx:
                if target is AddressState.UNBINDABLE:
                    ownership.leave(tx, event, SPAN, state, 1, Nonce(1, 1))
                else:
                    ownership.move(tx, event, row(target, epoch=5))
                return tx.address_ranges(*SPAN)

        if legal:
            after = [] if target is AddressState.UNBINDABLE else [row(target, epoch=5)]
            assert act() == after
        else:
            with pytest.raises(IllegalTransitionError, match=f"{event.name}.*{state.name}"):
                act()


def test_every_state_is_reached_and_left_and_every_event_is_used() -> None:
    assert {state for state, _ in MOVES} == set(AddressState)
    assert set(MOVES.values()) == set(AddressState)
    assert {event for _, event in MOVES} == set(AddressEvent)


def test_one_address_in_another_state_stops_the_whole_move() -> None:
    store = store_with(AddressState.BINDABLE)
    wider = AddressRange(SPAN[0] - 1, SPAN[1], AddressState.POLLING, 0, 1, Nonce(1, 2), 1)
    with store.write() as tx, pytest.raises(IllegalTransitionError, match="UNBINDABLE"):
        ownership.move(tx, AddressEvent.GIVEN_BACK, wider)
    with store.read() as tx:
        assert tx.address_ranges(*SPAN) == [row(AddressState.BINDABLE)]


def test_leaving_touches_no_other_member_and_no_other_attempt() -> None:
    store = store_with(AddressState.PROMISED)
    event, state = AddressEvent.PROMISE_ENDED, AddressState.PROMISED
    with store.write() as tx:
        ownership.leave(tx, event, SPAN, state, 2, Nonce(9, 9))
        ownership.leave(tx, event, SPAN, state, 1, Nonce(1, 0), epoch=4)
        ownership.leave(tx, event, SPAN, state, 1, Nonce(1, 2))
        ownership.leave(tx, event, SPAN, state, 1, Nonce(1, 2), epoch=5)
        assert tx.address_ranges(*SPAN) == [row(state)]
        ownership.leave(tx, event, (SPAN[0], SPAN[0]), state, 1, Nonce(1, 1))
        assert [r.first for r in tx.address_ranges(*SPAN)] == [SPAN[0] + 1]
        ownership.leave(tx, event, SPAN, state, 1, Nonce(1, 2), epoch=4)
        assert tx.address_ranges(*SPAN) == []


def test_an_old_abort_does_not_end_a_promise_that_was_passed_on() -> None:
    passed_on = AddressRange(*SPAN, AddressState.PROMISED, 4, 1, Nonce(1, 0), 1)
    store = store_with(AddressState.UNBINDABLE)
    with store.write() as tx:
        tx.replace_address_ranges([], [passed_on])
        event = AddressEvent.PROMISE_ENDED
        ownership.leave(tx, event, SPAN, AddressState.PROMISED, 1, Nonce(1, 9), epoch=4)
        assert tx.address_ranges(*SPAN) == [passed_on]


def test_what_is_unbindable_has_no_row() -> None:
    with pytest.raises(ValueError, match="has no row"):
        row(AddressState.UNBINDABLE)
