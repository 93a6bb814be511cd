"""The machines of a peer: every state and event, legal or not (docs/protocol.md, "Hello and
alignment")."""

from __future__ import annotations

from itertools import product

import pytest

from agent.errors import IllegalTransitionError
from agent.model import Trouble
from agent.sync.hello import (
    ALIGN_TRANSITIONS,
    LINK_TRANSITIONS,
    AlignEvent,
    AlignState,
    LinkEvent,
    LinkState,
    Peer,
    covers,
)
from agent.sync.node import Node
from tests.sync.lan import Lan, make_group


@pytest.mark.parametrize(("state", "event"), list(product(LinkState, LinkEvent)))
def test_link_transitions(state: LinkState, event: LinkEvent) -> None:
    peer = Peer(2, link=state)
    expected = LINK_TRANSITIONS.get((state, event))
    if expected is None:
        with pytest.raises(IllegalTransitionError, match=f"{event.name}.*{state.name}"):
            peer.become_link(event)
        assert peer.link is state
    else:
        peer.become_link(event)
        assert peer.link is expected


@pytest.mark.parametrize(("state", "event"), list(product(AlignState, AlignEvent)))
def test_align_transitions(state: AlignState, event: AlignEvent) -> None:
    peer = Peer(2, align=state)
    expected = ALIGN_TRANSITIONS.get((state, event))
    if expected is None:
        with pytest.raises(IllegalTransitionError, match=f"{event.name}.*{state.name}"):
            peer.become_align(event)
        assert peer.align is state
    else:
        peer.become_align(event)
        assert peer.align is expected


def test_every_state_is_reached() -> None:
    assert set(LINK_TRANSITIONS.values()) | {LinkState.DOWN} == set(LinkState)
    assert set(ALIGN_TRANSITIONS.values()) == set(AlignState)


def test_covers() -> None:
    assert covers({1: 5, 2: 3}, {1: 5})
    assert covers({}, {})
    assert not covers({1: 4}, {1: 5})
    assert not covers({}, {1: 1})


def link(lan: Lan, of: int, peer: int) -> LinkState:
    return next(s.link for s in lan.nodes[of].peer_status() if s.member == peer)


def test_a_link_that_works_one_way_is_unidirectional() -> None:
    lan = Lan([1, 2], make_group([1, 2]))
    lan.passes = lambda sender, to, _: sender == 1
    lan.nodes[1].handle_response = lambda *_: None  # type: ignore[method-assign]
    lan.run(3_000)
    assert link(lan, 2, 1) is LinkState.UNIDIRECTIONAL
    assert link(lan, 1, 2) is LinkState.WAITING


def test_a_silent_peer_is_waited_for_and_found_again() -> None:
    lan = Lan([1, 2], make_group([1, 2]))
    lan.run(3_000)
    assert link(lan, 1, 2) is LinkState.BIDIRECTIONAL
    lan.cut(2)
    lan.run(6_000)
    assert link(lan, 1, 2) is LinkState.WAITING
    assert [s.align for s in lan.nodes[1].peer_status()] == [AlignState.DOWN]
    lan.heal()
    lan.run(3_000)
    assert [s.align for s in lan.nodes[1].peer_status()] == [AlignState.ALIGNED]


def test_the_offset_of_a_peers_clock_is_measured() -> None:
    lan = Lan([1, 2], make_group([1, 2]))
    lan.offset_ms[2] = 45_000
    lan.run(3_000)
    assert [s.offset_ms for s in lan.nodes[1].peer_status()] == [45_000]
    assert [s.offset_ms for s in lan.nodes[2].peer_status()] == [-45_000]


def test_a_member_with_a_silent_engine_says_so_at_once_and_others_answer_its_clients() -> None:
    lan = Lan([1, 2, 3], make_group([1, 2, 3]))
    lan.run(8_000)

    def idle(member: int) -> frozenset[int]:
        with lan.stores[member].read() as tx:
            assert tx.silent_members() == frozenset()
            return tx.idle_members()

    def told(member: int) -> Trouble:
        return next(s.trouble for s in lan.nodes[member].peer_status() if s.member == 1)

    for trouble, of_it in (
        (Trouble.ENGINE_SILENT, {1}),
        (Trouble.DISK_LOW, frozenset()),
        (Trouble.NONE, frozenset()),
    ):
        lan.nodes[1].note_trouble(trouble)
        took_ms = lan.run(900, lambda: told(2) is told(3) is trouble)  # noqa: B023
        assert took_ms < 300, "not by the next Hello"
        lan.run(100)
        assert idle(2) == idle(3) == of_it


def test_an_idle_member_is_called_about_once_a_second() -> None:
    """No busy loop: alone, without a group, and in a quiet group."""
    for lan in (Lan([1]), Lan([1], make_group([1]), 50), Lan([1, 2], make_group([1, 2]), 50)):
        lan.run(30_000)
        calls = [0]

        def counted(*arguments: object, calls: list[int] = calls) -> None:
            calls[0] += 1
            Node.handle_timer(*arguments)  # type: ignore[arg-type]

        node = lan.nodes[1]
        node.handle_timer = counted.__get__(node)  # type: ignore[method-assign]
        lan.run(60_000)
        assert calls[0] < 260
