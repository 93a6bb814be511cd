"""The command generator against the door, octets to octets: what is asked first, what is an answer,
and what anybody could have sent (RFC 3412 7.2, RFC 3414 3.2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.errors import PacketError
from agent.snmp import ber, message, usm
from agent.snmp.ber import Varbind
from agent.snmp.door import Door, Reply, Request
from agent.snmp.generator import CommandGenerator, Ignored, Report, Response, Verdict
from agent.snmp.keys import EngineIdentity, UserKeys
from agent.snmp.message import (
    AUTH_FLAG,
    AUTH_PRIV,
    PRIV_FLAG,
    Global,
    Security,
    build_pdu,
    build_scoped,
)
from agent.snmp.reports import (
    BOOTS_MAX,
    DECRYPTION_ERROR,
    NOT_IN_TIME_WINDOW,
    TIME_WINDOW_S,
    UNKNOWN_ENGINE,
    UNKNOWN_USER,
    UNSUPPORTED_LEVEL,
    WRONG_DIGEST,
    ReportKind,
)
from tests.snmp.datagrams import IDENTITY, NOW_S, make_door
from tests.snmp.world import engine_id, keys_of

NAME = (1, 3, 6, 1, 2, 1, 1, 5, 0)
ASKED = ber.encode_varbinds([Varbind(NAME, ber.NULL, None)])
SAID = ber.encode_varbinds([Varbind(NAME, ber.OCTETS, b"m1")])
SOURCE = ("198.18.0.9", 50_000)
KEYS = keys_of("monitor")
LOCALIZED = KEYS.localize(IDENTITY.engine_id)


@dataclass
class Talk:
    """A generator and the engine that it asks, whose clock is `now_s`."""

    door: Door = field(default_factory=make_door)
    now_s: float = NOW_S
    user: str = "monitor"
    keys: UserKeys = KEYS
    size_max: int = 1472

    def __post_init__(self) -> None:
        self.generator = CommandGenerator(self.user.encode(), self.keys, first_id=7, salt=9)
        self.generator.begin()

    def sent(self) -> bytes:
        return self.generator.message(
            message.GET, ASKED, 0, 0, size_max=self.size_max, now_s=self.now_s
        )

    def answered(self, sent: bytes) -> bytes:
        verdict = self.door.examine(sent, SOURCE, self.now_s)
        if isinstance(verdict, Request):
            assert verdict.pdu.varbinds == ASKED
            assert verdict.size_max == self.size_max
            pdu = build_pdu(message.RESPONSE, verdict.pdu.request_id, 0, 0, SAID)
            return self.door.respond(verdict, pdu, self.now_s)
        assert isinstance(verdict, Reply)
        return verdict.message

    def examine(self, data: bytes) -> Verdict:
        return self.generator.examine(data, self.now_s)

    def step(self) -> Verdict:
        return self.examine(self.answered(self.sent()))

    def synchronised(self) -> Talk:
        """Everything is known."""
        self.step()
        self.step()
        assert isinstance(self.step(), Response)
        return self

    def sealed(
        self,
        pdu: bytes,
        *,
        flags: int = AUTH_PRIV,
        keys: UserKeys | None = LOCALIZED,
        user: str = "monitor",
        door: Door | None = None,
        now_s: float | None = None,
        message_id: int | None = None,
    ) -> bytes:
        """The engine's own message for what was sent last."""
        if message_id is None:
            _, at = message.parse_version(self.sent())
            message_id = message.parse_global(self.sent(), at).message_id
        scoped = build_scoped(IDENTITY.engine_id, b"", pdu)
        at_s = self.now_s if now_s is None else now_s
        return (door or self.door).seal(message_id, flags, user.encode(), keys, scoped, at_s)


def head_of(octets: bytes) -> tuple[Global, Security]:
    _, at = message.parse_version(octets)
    head = message.parse_global(octets, at)
    return head, message.parse_security(octets, head.parameters_at)


def report_of(kind: ReportKind) -> bytes:
    varbind = Varbind(kind.oid, ber.COUNTER32, 1)
    return build_pdu(message.REPORT, 0, 0, 0, ber.encode_varbinds([varbind]))


def response(talk: Talk, *, kind: int = message.RESPONSE, request_id: int | None = None) -> bytes:
    """The PDU; by itself with the request-id of what was sent."""
    if request_id is None:
        verdict = talk.door.examine(talk.sent(), SOURCE, talk.now_s)
        assert isinstance(verdict, Request)
        request_id = verdict.pdu.request_id
    return build_pdu(kind, request_id, 0, 0, SAID)


# --- what is asked first (RFC 3414 4)


def test_rfc3414_4_the_engine_is_found_then_its_clock_then_it_is_asked() -> None:
    talk = Talk()
    head, security = head_of(talk.sent())
    assert (head.flags, security[:4]) == (message.REPORTABLE_FLAG, (b"", 0, 0, b""))
    assert talk.step() == Report(UNKNOWN_ENGINE.oid, True)
    head, security = head_of(talk.sent())
    assert head.flags == AUTH_PRIV | message.REPORTABLE_FLAG
    assert security[:4] == (IDENTITY.engine_id, 0, 0, b"monitor")
    assert talk.step() == Report(NOT_IN_TIME_WINDOW.oid, True)
    talk.now_s += 30
    assert head_of(talk.sent())[1][1:3] == (IDENTITY.boots, 1030)
    found = talk.step()
    assert isinstance(found, Response)
    assert (found.pdu.first, found.pdu.varbinds) == (0, SAID)


def test_every_message_has_its_own_id_and_salt_and_a_request_one_id() -> None:
    talk = Talk().synchronised()
    sent = [talk.sent() for _ in range(3)]
    heads = [head_of(one) for one in sent]
    assert len({head.message_id for head, _ in heads}) == 3
    assert len({security.salt for _, security in heads}) == 3
    first, second, third = (talk.door.examine(one, SOURCE, talk.now_s) for one in sent)
    assert isinstance(first, Request)
    assert isinstance(third, Request)
    assert first.pdu.request_id == third.pdu.request_id
    # Whichever of them is answered: late is not too late.
    assert isinstance(second, Request)
    pdu = build_pdu(message.RESPONSE, second.pdu.request_id, 0, 0, SAID)
    assert isinstance(talk.examine(talk.door.respond(second, pdu, talk.now_s)), Response)
    before = talk.answered(talk.sent())
    talk.generator.begin()
    assert talk.examine(before) == Ignored("it answers nothing that was asked")


def test_ids_stay_positive_and_salts_go_round() -> None:
    generator = CommandGenerator(b"monitor", KEYS, first_id=2**31 - 3, salt=2**64 - 1)
    talk = Talk()
    talk.generator = generator
    generator.begin()
    talk.synchronised()
    assert head_of(talk.sent())[0].message_id == 3


# --- Reports


@pytest.mark.parametrize(
    ("user", "keys", "kind"),
    [
        ("nobody", KEYS, UNKNOWN_USER),
        ("monitor", UserKeys(b"x" * 32, KEYS.privacy), WRONG_DIGEST),
        ("operator", KEYS, WRONG_DIGEST),
    ],
)
def test_what_the_door_has_against_it(user: str, keys: UserKeys, kind: ReportKind) -> None:
    talk = Talk(user=user, keys=keys)
    talk.step()
    assert talk.step() == Report(kind.oid, False)


def test_a_wrong_privacy_key_shows_once_the_clock_is_known() -> None:
    talk = Talk(keys=UserKeys(KEYS.authentication, b"x" * 32))
    talk.step()
    assert talk.step() == Report(NOT_IN_TIME_WINDOW.oid, True)
    assert talk.step() == Report(DECRYPTION_ERROR.oid, False)


@pytest.mark.parametrize("flags", [0, AUTH_FLAG, AUTH_PRIV])
def test_a_report_may_have_any_level(flags: int) -> None:
    talk = Talk().synchronised()
    octets = talk.sealed(report_of(UNSUPPORTED_LEVEL), flags=flags)
    assert talk.examine(octets) == Report(UNSUPPORTED_LEVEL.oid, False)


def test_an_engine_that_started_again_tells_its_clock() -> None:
    talk = Talk().synchronised()
    talk.door = make_door(EngineIdentity(IDENTITY.engine_id, IDENTITY.boots + 1))
    assert talk.step() == Report(NOT_IN_TIME_WINDOW.oid, True)
    assert isinstance(talk.step(), Response)


def test_an_engine_whose_clock_ran_ahead_tells_it() -> None:
    talk = Talk().synchronised()
    asker_s = talk.now_s
    sent = talk.sent()
    talk.now_s += TIME_WINDOW_S + 1  # of the engine only
    answer = talk.answered(sent)
    assert talk.generator.examine(answer, asker_s) == Report(NOT_IN_TIME_WINDOW.oid, True)
    sent = talk.generator.message(message.GET, ASKED, 0, 0, size_max=1472, now_s=asker_s)
    assert isinstance(talk.door.examine(sent, SOURCE, talk.now_s), Request)


def test_another_engine_at_the_address_is_found_anew() -> None:
    talk = Talk().synchronised()
    talk.door = make_door(EngineIdentity(engine_id(2), 1))
    assert talk.step() == Report(UNKNOWN_ENGINE.oid, True)
    assert talk.step() == Report(NOT_IN_TIME_WINDOW.oid, True)
    assert isinstance(talk.step(), Response)


def test_an_engine_that_was_named_is_asked_at_once_and_no_other() -> None:
    talk = Talk()
    talk.generator = CommandGenerator(
        b"monitor", KEYS, first_id=7, salt=9, engine_id=IDENTITY.engine_id
    )
    talk.generator.begin()
    assert talk.step() == Report(NOT_IN_TIME_WINDOW.oid, True)
    assert isinstance(talk.step(), Response)
    talk.door = make_door(EngineIdentity(engine_id(2), 1))
    assert talk.step() == Report(UNKNOWN_ENGINE.oid, False)
    assert head_of(talk.sent())[1].engine_id == IDENTITY.engine_id


# --- what anybody could have sent


def test_a_clock_is_believed_of_authentic_messages_alone() -> None:
    """Else a SET could be made to bear a time to come, kept, and sent then."""
    talk = Talk().synchronised()
    before = head_of(talk.sent())[1]
    octets = talk.sealed(report_of(NOT_IN_TIME_WINDOW), flags=0, keys=None, now_s=NOW_S + 999)
    found = talk.examine(octets)
    assert found == Ignored("it tells a clock, and is not authenticated")
    octets = talk.sealed(report_of(UNKNOWN_ENGINE), flags=0, keys=None, now_s=NOW_S + 999)
    assert talk.examine(octets) == Report(UNKNOWN_ENGINE.oid, True)
    assert head_of(talk.sent())[1][:3] == before[:3]


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (0, "it is not authenticated"),
        (AUTH_FLAG, "it is not encrypted"),
    ],
)
def test_a_response_is_authentic_and_encrypted(flags: int, why: str) -> None:
    talk = Talk().synchronised()
    octets = talk.sealed(response(talk), flags=flags)
    assert talk.examine(octets) == Ignored(why)


def test_encrypted_without_a_digest_is_nothing() -> None:
    talk = Talk().synchronised()
    octets = talk.sealed(response(talk), flags=PRIV_FLAG)
    assert talk.examine(octets) == Ignored("it is encrypted by nobody")


def test_somebody_elses_messages() -> None:
    talk = Talk().synchronised()
    pdu = response(talk)
    other = make_door(EngineIdentity(engine_id(2), 1))
    elsewhere = KEYS.localize(engine_id(2))
    for octets in (
        talk.sealed(pdu, door=other, keys=elsewhere),
        talk.sealed(pdu, user="operator", keys=keys_of("operator").localize(IDENTITY.engine_id)),
    ):
        assert talk.examine(octets) == Ignored("it is of another engine, or for another user")
    octets = talk.sealed(report_of(UNKNOWN_USER), flags=0, keys=None, door=other)
    assert talk.examine(octets) == Ignored("it is of another engine")
    octets = talk.sealed(pdu, keys=keys_of("operator").localize(IDENTITY.engine_id))
    assert talk.examine(octets) == Ignored("its digest is wrong")
    octets = talk.sealed(pdu, message_id=99)
    assert talk.examine(octets) == Ignored("it answers nothing that was asked")
    octets = talk.sealed(response(talk, request_id=1))
    assert talk.examine(octets) == Ignored("it answers another request")


@pytest.mark.parametrize("size", [0, 4, 33])
def test_rfc3411_5_an_engine_id_has_5_to_32_octets(size: int) -> None:
    talk = Talk()
    door = make_door(EngineIdentity(bytes(size), 1))
    octets = talk.sealed(report_of(UNKNOWN_ENGINE), flags=0, keys=None, door=door)
    assert talk.examine(octets) == Ignored(f"its engine ID has {size} octets")


def test_other_versions_and_models() -> None:
    talk = Talk().synchronised()
    assert talk.examine(message.build_community(b"public", response(talk))) == Ignored(
        "it is of version 1"
    )
    sent = talk.sent()
    head, security = head_of(sent)
    octets, _ = message.build_v3(
        head._replace(security_model=2), security, sent[security.data_at :], 1472
    )
    assert talk.examine(octets) == Ignored("its security model is 2")


def test_rfc3414_3_2_7b_old_messages() -> None:
    talk = Talk().synchronised()
    pdu = response(talk)
    before = EngineIdentity(IDENTITY.engine_id, IDENTITY.boots - 1)
    octets = talk.sealed(pdu, door=make_door(before))
    assert talk.examine(octets) == Ignored("it is older than the engine's last start")
    octets = talk.sealed(pdu, now_s=talk.now_s - TIME_WINDOW_S)
    assert isinstance(talk.examine(octets), Response)
    octets = talk.sealed(pdu, now_s=talk.now_s - TIME_WINDOW_S - 1)
    assert talk.examine(octets) == Ignored("it is too old")


def test_rfc3414_2_2_2_an_engine_without_starts_left_is_never_in_time() -> None:
    talk = Talk(door=make_door(EngineIdentity(IDENTITY.engine_id, BOOTS_MAX)))
    talk.step()
    assert talk.step() == Ignored("it is older than the engine's last start")


def test_whatever_is_wrong_with_an_answer_it_is_no_answer() -> None:
    """Cut at every octet, and one bit turned in every octet."""
    talk = Talk().synchronised()
    answer = talk.answered(talk.sent())
    for at in range(len(answer)):
        assert isinstance(talk.examine(answer[:at]), Ignored)
        turned = bytearray(answer)
        turned[at] ^= 1 << at % 8
        assert isinstance(talk.examine(bytes(turned)), Ignored), at
    assert isinstance(talk.examine(answer + b"\0"), Ignored)
    assert isinstance(talk.examine(answer), Response)


def test_a_report_without_a_digest_that_is_cut_is_ignored() -> None:
    talk = Talk()
    answer = talk.answered(talk.sent())
    for at in range(len(answer)):
        assert isinstance(talk.examine(answer[:at]), Ignored)
    assert isinstance(talk.examine(answer), Report)


# --- what the engine itself makes wrong


@pytest.mark.parametrize(
    ("pdu", "reason"),
    [
        (build_pdu(message.GET, 1, 0, 0, SAID), "wrong_tag"),
        (build_pdu(message.REPORT, 1, 0, 0, SAID), "bad_report"),
        (build_pdu(message.RESPONSE, 1, 0, 0, SAID) + b"\0", "trailing_octets"),
        (build_pdu(message.RESPONSE, 2**31, 0, 0, SAID), "bad_number"),
        (b"", "truncated"),
    ],
)
def test_an_authentic_message_that_cannot_be_read(pdu: bytes, reason: str) -> None:
    talk = Talk().synchronised()
    octets = talk.sealed(pdu)
    with pytest.raises(PacketError) as caught:
        talk.examine(octets)
    assert caught.value.reason == reason


def test_an_authentic_message_with_a_short_salt() -> None:
    talk = Talk().synchronised()
    head, _ = head_of(talk.sent())
    security = Security(
        IDENTITY.engine_id, IDENTITY.boots, 1000, b"monitor", 0, usm.MAC_OCTETS, b"salt", 0
    )
    octets, at = message.build_v3(
        head._replace(flags=AUTH_PRIV), security, ber.octets(b"data"), 1472
    )
    with pytest.raises(PacketError, match="bad_salt: 4 octets"):
        talk.examine(usm.authenticate(octets, at, LOCALIZED.authentication))
