"""The group and the ballots about it.

The membership in force is rows, for people to look at; a value in a ballot is only ever carried
around whole, so it is text (JSON).
"""

from __future__ import annotations

import json
from collections.abc import Collection

from sqlalchemy import bindparam, delete, select

from agent.model import (
    Ballot,
    BallotNumber,
    Group,
    Member,
    MemberId,
    MemberRole,
    MemberState,
)
from store.local import LocalRow
from store.session import Row
from store.sqlite import compile_insert, compile_statement, compile_upsert
from store.tables import MEMBER, PROPOSAL, SERVER_GROUP, SILENT_MEMBER

_GROUP = compile_statement(select(SERVER_GROUP))
_PUT_GROUP = compile_upsert(SERVER_GROUP)
_MEMBERS = compile_statement(select(MEMBER).order_by(MEMBER.c.member))
_DELETE_MEMBERS = compile_statement(delete(MEMBER))
_ADD_MEMBER = compile_insert(MEMBER)
_SILENT = compile_statement(select(SILENT_MEMBER))
_DELETE_SILENT = compile_statement(delete(SILENT_MEMBER))
_ADD_SILENT = compile_insert(SILENT_MEMBER)
_BALLOT = compile_statement(select(PROPOSAL).where(PROPOSAL.c.generation == bindparam("of")), "of")
_PUT_BALLOT = compile_upsert(PROPOSAL)


def _member(row: Row) -> Member:
    member, name, address, port, engine_id, state, role, weight = row
    return Member(
        member, name, address, port, engine_id, MemberState(state), MemberRole(role), weight
    )


def _member_row(m: Member) -> Row:
    return (m.member, m.name, m.address, m.port, m.engine_id, +m.state, +m.role, m.weight)


def group_to_json(group: Group) -> str:
    """A group as text that `group_from_json` reads."""
    members = [
        [*row[:4], row[4].hex(), *row[5:]] for row in (_member_row(m) for m in group.members)
    ]
    return json.dumps([group.name, group.generation, group.mul_s, group.lease_s, members])


def group_from_json(text: str) -> Group:
    name, generation, mul_s, lease_s, members = json.loads(text)
    rows = ((*m[:4], bytes.fromhex(m[4]), *m[5:]) for m in members)
    return Group(name, generation, mul_s, lease_s, tuple(_member(row) for row in rows))


class GroupRows(LocalRow):
    """The part of the port about membership."""

    def group(self) -> Group | None:
        rows = self.rows(_GROUP)
        if not rows:
            return None
        members = tuple(_member(row) for row in self.rows(_MEMBERS))
        _, name, generation, mul_s, lease_s = rows[0]
        return Group(name, generation, mul_s, lease_s, members)

    def put_group(self, group: Group) -> None:
        """Also a change of the configuration, for its parameters rule leases."""
        row = (1, group.name, group.generation, group.mul_s, group.lease_s)
        self.change(_PUT_GROUP, row)
        self.change(_DELETE_MEMBERS)
        self.change_many(_ADD_MEMBER, [_member_row(m) for m in group.members])
        self.forget_acknowledged()
        self.configuration_changed()

    def silent_members(self) -> frozenset[MemberId]:
        return frozenset(member for (member,) in self.rows(_SILENT))

    def set_silent_members(self, members: Collection[MemberId]) -> None:
        self.change(_DELETE_SILENT)
        self.change_many(_ADD_SILENT, [(member,) for member in members])

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
