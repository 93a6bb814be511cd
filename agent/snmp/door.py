"""The door: what a datagram has to be before anybody works for it, and what is said to the rest.

pysnmp believes what it reads: a message that it cannot decode raises in the event loop, engine IDs
that somebody makes up are kept, and a refusal costs it 0.6 ms. So nothing reaches it from the
network but the answers to its own requests. Everything else ends here: a message is read in the
order of RFC 3412 7.2 and RFC 3414 3.2 (form and sizes, security model and level, engine ID, user,
digest, time window, decryption, PDU, context), each fault is counted as what it is, and the Reports
that the RFCs ask for are made here. What is left over is a `Request` of a user who is known to
have sent it just now, and who reads the answer. Only users at authPriv are heard, and a community
where one is configured; the digest of an answer is looked at too before pysnmp sees it.

No I/O and no clock: `examine` gets the octets, their source and the boot-time clock. It never
raises for anything that can come from outside.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple

from agent.errors import PacketError
from agent.limits import SNMP_COMMUNITY_OCTETS_MAX, SNMP_MESSAGE_OCTETS_MAX
from agent.snmp import ber, usm
from agent.snmp.budget import Budgets
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.message import (
    AUTH_FLAG,
    AUTH_PRIV,
    CONFIRMED,
    INFORM,
    PRIV_FLAG,
    REPORT,
    REPORTABLE_FLAG,
    TRAP,
    USM,
    V2C,
    V3,
    Global,
    Pdu,
    Scoped,
    Security,
    build_community,
    build_pdu,
    build_scoped,
    build_v3,
    check_context,
    parse_ciphertext,
    parse_community,
    parse_global,
    parse_pdu,
    parse_scoped,
    parse_security,
    parse_version,
)
from agent.snmp.reports import (
    BOOTS_MAX,
    DECRYPTION_ERROR,
    NOT_IN_TIME_WINDOW,
    TIME_WINDOW_S,
    UNKNOWN_CONTEXT,
    UNKNOWN_ENGINE,
    UNKNOWN_PDU_HANDLER,
    UNKNOWN_USER,
    UNSUPPORTED_LEVEL,
    WRONG_DIGEST,
    ReportKind,
)
from agent.snmp.statistics import Statistics

Address = tuple[str, int]

_TIME_MAX = 2**31 - 1
_ENVELOPE_OCTETS = 232
"""Octets of a v3 message beside its variable bindings, at most: 32 of user name and of each engine
ID, a MAC, a salt, and every header with a length of three octets."""
_COMMUNITY_ENVELOPE_OCTETS = 40
"""The same of v2c, beside the community's own."""


class Request(NamedTuple):
    """A PDU to be answered, of a `user` who has sent it, or of anybody who knows the community
    (`is_community`)."""

    source: Address
    user: bytes
    is_community: bool
    message_id: int
    size_max: int
    scoped: Scoped
    pdu: Pdu

    @property
    def room(self) -> int:
        """Octets that the variable bindings of an answer may have."""
        if self.is_community:
            return SNMP_COMMUNITY_OCTETS_MAX - _COMMUNITY_ENVELOPE_OCTETS - len(self.user)
        return min(self.size_max, SNMP_MESSAGE_OCTETS_MAX) - _ENVELOPE_OCTETS


class Reply(NamedTuple):
    """A message to send back."""

    message: bytes


class Answer(NamedTuple):
    """The answer to a request of pysnmp's, which is to have it."""

    message: bytes
    engine_id: bytes
    is_authentic: bool


Verdict = Request | Reply | Answer | None
"""None: nothing is said to that."""


class Refused(Exception):  # noqa: N818
    """The message ends here, with a Report where one is due."""

    def __init__(self, reply: Reply | None) -> None:
        super().__init__()
        self.reply = reply


class Door:
    """`users` have keys localized to this engine. `is_asked` tells whether a request with that
    msgID went to that address and still waits. `started_s` is the boot-time clock at the start
    of the engine, `salt` a number that no earlier engine has used."""

    def __init__(
        self,
        identity: EngineIdentity,
        users: Mapping[bytes, UserKeys],
        community: bytes,
        is_asked: Callable[[int, Address], bool],
        *,
        started_s: float,
        salt: int,
    ) -> None:
        self._identity = identity
        self._users = users
        self._community = community
        self._is_asked = is_asked
        self._started_s = started_s
        self._salt = salt
        self._peers: dict[tuple[bytes, bytes], bytes] = {}
        self.budgets = Budgets()
        self.statistics = Statistics()

    @property
    def boots(self) -> int:
        return self._identity.boots

    def time_s(self, now_s: float) -> int:
        """snmpEngineTime: seconds of the boot-time clock, which nobody sets."""
        return min(int(now_s - self._started_s), _TIME_MAX)

    def expect(self, engine_id: bytes, user: bytes, authentication: bytes) -> None:
        """Answers of the engine `engine_id` are made with that key."""
        self._peers[engine_id, user] = authentication

    def admits(self, address: str, now_s: float) -> bool:
        """Whether a datagram from there is read at all."""
        if self.budgets.admit_message(address, now_s):
            return True
        self.statistics.over_budget += 1
        return False

    def examine(self, data: bytes, source: Address, now_s: float) -> Verdict:
        self.statistics.in_packets += 1
        try:
            version, at = parse_version(data)
            if version == V3:
                return self._examine_v3(data, at, source, now_s)
            if version == V2C and self._community:
                return self._examine_v2c(data, at, source)
        except PacketError:
            self.statistics.asn_parse_errors += 1
            return None
        except Refused as refused:
            return refused.reply
        self.statistics.bad_versions += 1
        return None

    # --- version 3

    def _examine_v3(self, data: bytes, at: int, source: Address, now_s: float) -> Verdict:
        head = parse_global(data, at)
        level = head.flags & AUTH_PRIV
        if head.security_model != USM:
            self.statistics.unknown_security_models += 1
            return None
        if level == PRIV_FLAG:
            self.statistics.invalid_messages += 1
            return None
        security = parse_security(data, head.parameters_at)
        is_ours = security.engine_id == self._identity.engine_id
        reports = _Reports(self, head, security, source, now_s)
        if not is_ours and not self._is_asked(head.message_id, source):
            return self._tell_engine(data, level, reports)
        if level & PRIV_FLAG:
            ciphertext = parse_ciphertext(data, security.data_at)
        else:
            ciphertext = b""
            reports.read(parse_scoped(data, security.data_at))
        if not is_ours:
            return self._answer(data, level, security, reports.pdu)
        keys = self._authenticate(data, level, security, reports, now_s)
        self.budgets.know(source[0])
        if len(security.salt) != usm.SALT_OCTETS:
            raise reports.refusal(DECRYPTION_ERROR)
        plain = usm.decrypt(
            ciphertext, keys.privacy, security.boots, security.time_s, security.salt
        )
        try:
            scoped = parse_scoped(plain)
        except PacketError:
            # The digest was right, so this is what a wrong privacy key makes of a message.
            raise reports.refusal(DECRYPTION_ERROR) from None
        reports.keys = keys
        return self._route(reports, scoped, reports.read(scoped))

    def _tell_engine(self, data: bytes, level: int, reports: _Reports) -> Verdict:
        """RFC 3414 3.2.3: the message is for another engine, or asks which one this is. It is what
        floods are made of, so it is read to its end only where something is said to it."""
        if not self.budgets.admit_report(reports.source[0], reports.now_s):
            self.statistics.unknown_engines += 1
            self.statistics.reports_held += 1
            return None
        if not level & PRIV_FLAG:
            reports.read(parse_scoped(data, reports.security.data_at))
        raise self._report(reports, UNKNOWN_ENGINE, None, 0)

    def _authenticate(
        self, data: bytes, level: int, security: Security, reports: _Reports, now_s: float
    ) -> UserKeys:
        """RFC 3414 3.2, steps 4 to 7: the user's keys, if the message is the user's and new."""
        keys = self._users.get(security.user)
        if keys is None:
            raise reports.refusal(UNKNOWN_USER)
        if level != AUTH_PRIV and (level != AUTH_FLAG or security.boots or security.time_s):
            raise reports.refusal(UNSUPPORTED_LEVEL)
        if not usm.is_authentic(data, security.mac_at, security.mac_octets, keys.authentication):
            raise reports.refusal(WRONG_DIGEST)
        if (
            self.boots == BOOTS_MAX
            or security.boots != self.boots
            or abs(security.time_s - self.time_s(now_s)) > TIME_WINDOW_S
        ):
            raise reports.refusal(NOT_IN_TIME_WINDOW, keys, AUTH_FLAG)
        if level != AUTH_PRIV:
            raise reports.refusal(UNSUPPORTED_LEVEL)
        return keys

    def _route(self, reports: _Reports, scoped: Scoped, pdu: Pdu) -> Verdict:
        """RFC 3412 4.2.2, and RFC 3413 3.2 for the context."""
        if pdu.kind == TRAP:
            self.statistics.traps_ignored += 1
            return None
        is_ours = scoped.context_engine_id == self._identity.engine_id
        # The context of a notification is its sender's (RFC 3413 3.3): any engine.
        if pdu.kind not in CONFIRMED or not (is_ours or pdu.kind == INFORM):
            raise reports.refusal(UNKNOWN_PDU_HANDLER, reports.keys, AUTH_PRIV)
        if scoped.context_name:
            raise reports.refusal(UNKNOWN_CONTEXT, reports.keys, AUTH_PRIV)
        head, security = reports.head, reports.security
        return Request(
            reports.source, security.user, False, head.message_id, head.size_max, scoped, pdu
        )

    def _answer(
        self, data: bytes, level: int, security: Security, pdu: Pdu | None
    ) -> Answer | None:
        """What was asked for, if it is from who was asked. Only a Report may come without a digest:
        its sender may not know the user."""
        if level & AUTH_FLAG:
            key = self._peers.get((security.engine_id, security.user))
            if key is None:
                self.statistics.unknown_users += 1
                return None
            if not usm.is_authentic(data, security.mac_at, security.mac_octets, key):
                self.statistics.wrong_digests += 1
                return None
        elif pdu is None or pdu.kind != REPORT:
            self.statistics.unsupported_levels += 1
            return None
        elif [one.tag for one in ber.decode_varbinds(pdu.varbinds)] != [ber.COUNTER32]:
            raise PacketError("bad_report", "no Report is but one counter")
        return Answer(data, security.engine_id, bool(level & AUTH_FLAG))

    # --- version 2c

    def _examine_v2c(self, data: bytes, at: int, source: Address) -> Verdict:
        community, octets = parse_community(data, at)
        pdu = parse_pdu(octets)
        if not hmac.compare_digest(community, self._community):
            self.statistics.bad_community_names += 1
            return None
        if pdu.kind not in CONFIRMED:
            self.statistics.unknown_pdu_handlers += 1
            return None
        return Request(source, community, True, 0, 0, Scoped(b"", b"", octets), pdu)

    # --- what goes out

    def respond(self, request: Request, pdu: bytes, now_s: float) -> bytes:
        """The message that carries the response PDU `pdu` to who asked."""
        if request.is_community:
            return build_community(request.user, pdu)
        scoped = build_scoped(request.scoped.context_engine_id, b"", pdu)
        return self.seal(
            request.message_id, AUTH_PRIV, request.user, self._users[request.user], scoped, now_s
        )

    def seal(
        self,
        message_id: int,
        flags: int,
        user: bytes,
        keys: UserKeys | None,
        scoped: bytes,
        now_s: float,
    ) -> bytes:
        """A message of this engine as the authoritative one (RFC 3414 3.1), at the level that
        `flags` says."""
        boots, time_s, salt = self.boots, self.time_s(now_s), b""
        if keys is not None and flags & PRIV_FLAG:
            self._salt = (self._salt + 1) & 0xFFFF_FFFF_FFFF_FFFF
            salt = self._salt.to_bytes(usm.SALT_OCTETS, "big")
            scoped = ber.octets(usm.encrypt(scoped, keys.privacy, boots, time_s, salt))
        has_mac = keys is not None and flags & AUTH_FLAG
        message, at = build_v3(
            Global(message_id, 0, flags, USM, 0),
            Security(
                self._identity.engine_id,
                boots,
                time_s,
                user,
                0,
                usm.MAC_OCTETS if has_mac else 0,
                salt,
                0,
            ),
            scoped,
            SNMP_MESSAGE_OCTETS_MAX,
        )
        if keys is None or not has_mac:
            return message
        return usm.authenticate(message, at, keys.authentication)

    def report(
        self, reports: _Reports, kind: ReportKind, keys: UserKeys | None, level: int
    ) -> Refused:
        """Count a fault, and make its Report if one is due and there is a budget for it."""
        if not self.budgets.admit_report(reports.source[0], reports.now_s):
            setattr(self.statistics, kind.counter, getattr(self.statistics, kind.counter) + 1)
            self.statistics.reports_held += reports.is_due
            return Refused(None)
        return self._report(reports, kind, keys, level)

    def _report(
        self, reports: _Reports, kind: ReportKind, keys: UserKeys | None, level: int
    ) -> Refused:
        count = getattr(self.statistics, kind.counter) + 1
        setattr(self.statistics, kind.counter, count)
        if not reports.is_due:
            return Refused(None)
        value = ber.unsigned(count & 0xFFFF_FFFF, ber.COUNTER32)
        varbind = ber.varbind(ber.object_identifier(kind.oid), value)
        request_id = reports.pdu.request_id if reports.pdu else 0
        pdu = build_pdu(REPORT, request_id, 0, 0, ber.varbind_list([varbind]))
        context = reports.scoped or Scoped(b"", b"", b"")
        scoped = build_scoped(
            context.context_engine_id or self._identity.engine_id, context.context_name, pdu
        )
        head, security = reports.head, reports.security
        return Refused(
            Reply(self.seal(head.message_id, level, security.user, keys, scoped, reports.now_s))
        )


class _Reports:
    """What is known of a message so far, for the Report that it may get."""

    __slots__ = ("_door", "head", "keys", "now_s", "pdu", "scoped", "security", "source")

    def __init__(
        self, door: Door, head: Global, security: Security, source: Address, now_s: float
    ) -> None:
        self._door = door
        self.head = head
        self.security = security
        self.source = source
        self.now_s = now_s
        self.scoped: Scoped | None = None
        self.pdu: Pdu | None = None
        self.keys: UserKeys | None = None

    def read(self, scoped: Scoped) -> Pdu:
        """The PDU; what it is in, and what it is, go into the Report. Raises PacketError."""
        check_context(scoped)
        self.scoped, self.pdu = scoped, parse_pdu(scoped.pdu)
        return self.pdu

    @property
    def is_due(self) -> bool:
        """RFC 3412 7.1.3b: the flag counts only where the PDU is not known."""
        if self.pdu is not None:
            return self.pdu.kind in CONFIRMED
        return bool(self.head.flags & REPORTABLE_FLAG)

    def refusal(self, kind: ReportKind, keys: UserKeys | None = None, level: int = 0) -> Refused:
        return self._door.report(self, kind, keys, level)
