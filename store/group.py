"""The group and the ballots about it.

The membership in force is rows, for people to look at; a value in a ballot is only ever carried
around whole, so it is text (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select

from agent.model import (
    Ballot,
    BallotNumber,
    Group,
    LostStore,
    Member,
    MemberId,
    MemberRole,
    MemberState,
    Quarantine,
    StoreMark,
)
from store.local import LocalRow
from store.session import Row, read_once
from store.sqlite import compile_insert, compile_statement, compile_upsert
from store.tables import (
    LOST_STORE,
    MEMBER,
    PROPOSAL,
    QUARANTINE,
    REMEMBERED_STORE,
    SERVER_GROUP,
    SILENT_MEMBER,
)

_GROUP = compile_statement(select(SERVER_GROUP))
_PUT_GROUP = compile_upsert(SERVER_GROUP)
_MEMBERS = compile_statement(select(MEMBER).order_by(MEMBER.c.member))
_DELETE_MEMBERS = compile_statement(delete(MEMBER))
_ADD_MEMBER = compile_insert(MEMBER)
_SILENT = compile_statement(select(SILENT_MEMBER))
_DELETE_SILENT = compile_statement(delete(SILENT_MEMBER))
_ADD_SILENT = compile_insert(SILENT_MEMBER)
_LOST_STORES = compile_statement(select(LOST_STORE))
_PUT_LOST_STORE = compile_upsert(LOST_STORE)
_REMEMBERED = compile_statement(select(REMEMBERED_STORE))
_REMEMBER = compile_upsert(REMEMBERED_STORE)
_BALLOT = compile_statement(select(PROPOSAL).where(PROPOSAL.c.generation == bindparam("of")), "of")
_PUT_BALLOT = compile_upsert(PROPOSAL)
_QUARANTINES = compile_statement(select(QUARANTINE).order_by(QUARANTINE.c.at))
_PUT_QUARANTINE = compile_upsert(QUARANTINE)
_DELETE_QUARANTINE = compile_statement(
    delete(QUARANTINE).where(QUARANTINE.c.generation == bindparam("of")), "of"
)


def _member(row: Row) -> Member:
    member, name, address, port, engine_id, state, role, weight, since, clean = row
    return Member(
        member,
        name,
        address,
        port,
        engine_id,
        MemberState(state),
        MemberRole(role),
        weight,
        since,
        bool(clean),
    )


def _member_row(m: Member) -> Row:
    identity = (m.member, m.name, m.address, m.port, m.engine_id)
    return (*identity, +m.state, +m.role, m.weight, m.since, +m.clean)


def _parameters(group: Group) -> Row:
    changing = (group.safe_period_s, group.past_mul_s, group.forced, group.decision)
    return (group.name, group.generation, group.mul_s, group.lease_s, *changing)


def group_to_json(group: Group) -> str:
    """A group as text that `group_from_json` reads."""
    members = [
        [*row[:4], row[4].hex(), *row[5:]] for row in (_member_row(m) for m in group.members)
    ]
    return json.dumps([*_parameters(group), members])


def group_from_json(text: str) -> Group:
    *parameters, members = json.loads(text)
    return _group(parameters, ((*m[:4], bytes.fromhex(m[4]), *m[5:]) for m in members))


def _group(parameters: Sequence[Any], members: Iterable[Row]) -> Group:
    name, generation, mul_s, lease_s, *changing = parameters
    return Group(name, generation, mul_s, lease_s, tuple(map(_member, members)), *changing)


class GroupRows(LocalRow):
    """The part of the port about membership."""

    @read_once
    def group(self) -> Group | None:
        rows = self.rows(_GROUP)
        if not rows:
            return None
        return _group(rows[0][1:], self.rows(_MEMBERS))

    def put_group(self, group: Group) -> None:
        """Also a change of the configuration, for its parameters rule leases."""
        self.change(_PUT_GROUP, (1, *_parameters(group)))
        self.change(_DELETE_MEMBERS)
        self.change_many(_ADD_MEMBER, [_member_row(m) for m in group.members])
        self.forget_acknowledged()
        self.configuration_changed()

    def silent_members(self) -> frozenset[MemberId]:
        return frozenset(member for member, heard in self.rows(_SILENT) if not heard)

    def idle_members(self) -> frozenset[MemberId]:
        return frozenset(member for member, _ in self.rows(_SILENT))

    def set_silent_members(
        self, members: Collection[MemberId], idle: Collection[MemberId] = ()
    ) -> None:
        self.change(_DELETE_SILENT)
        rows = [(member, +(member not in members)) for member in {*members, *idle}]
        self.change_many(_ADD_SILENT, rows)

    @read_once
    def lost_stores(self) -> dict[MemberId, LostStore]:
        return {row[0]: LostStore(*row) for row in self.rows(_LOST_STORES)}

    def put_lost_store(self, lost: LostStore) -> None:
        self.change(_PUT_LOST_STORE, (lost.member, lost.incarnation, lost.at))

    def remembered_stores(self) -> dict[MemberId, StoreMark]:
        return {member: StoreMark(*mark) for member, *mark in self.rows(_REMEMBERED)}

    def remember_store(self, member: MemberId, mark: StoreMark) -> None:
        self.change(_REMEMBER, (member, *mark))

    def ballot(self, generation: int) -> Ballot | None:
        rows = self.rows(_BALLOT, (generation,))
        if not rows:
            return None
        _, counter, member, accepted_counter, accepted_member, value = rows[0]
        promised = BallotNumber(counter, member)
        if value is None:
            return Ballot(generation, promised)
        accepted = BallotNumber(accepted_counter, accepted_member)
        return Ballot(generation, promised, accepted, group_from_json(value))

    def put_ballot(self, ballot: Ballot) -> None:
        accepted = ballot.accepted or (None, None)
        value = None if ballot.value is None else group_to_json(ballot.value)
        self.change(_PUT_BALLOT, (ballot.generation, *ballot.promised, *accepted, value))

    @read_once
    def quarantines(self) -> list[Quarantine]:
        return [Quarantine(*row) for row in self.rows(_QUARANTINES)]

    def put_quarantine(self, quarantine: Quarantine) -> None:
        self.change(_PUT_QUARANTINE, (quarantine.generation, quarantine.at, quarantine.mul_s))

    def delete_quarantine(self, generation: int) -> None:
        self.change(_DELETE_QUARANTINE, (generation,))
