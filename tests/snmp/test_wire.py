"""The seams of pysnmp that we rely on: this fails when a new version moves one."""

from __future__ import annotations

import asyncio
import inspect

import pysnmp
import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.carrier.asyncio import dispatch
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.proto import rfc1902
from pysnmp.proto.api import v2c
from pysnmp.proto.error import StatusInformation
from pysnmp.proto.mpmod import rfc3412
from pysnmp.proto.rfc3412 import MsgAndPduDispatcher
from pysnmp.proto.secmod.rfc3414 import service

from agent import clock
from agent.snmp import ber, message, wire
from agent.snmp.ber import Varbind
from agent.snmp.engine import NoAccess, PlacedHmac, Usm, build_engine, symbol
from agent.snmp.keys import EngineIdentity
from tests.snmp.datagrams import Datagram
from tests.snmp.world import keys_of

VARBINDS = ber.encode_varbinds([Varbind((1, 3, 6, 1, n), ber.OCTETS, b"x" * n) for n in range(200)])


def scoped(pdu: object) -> rfc3412.ScopedPDU:
    """As pysnmp's message processing puts it together."""
    whole = rfc3412.ScopedPDU()
    whole.setComponentByPosition(0, b"engine")
    whole.setComponentByPosition(1, b"")
    whole.setComponentByPosition(2)
    whole.getComponentByPosition(2).setComponentByType(
        pdu.tagSet,  # type: ignore[attr-defined]
        pdu,
        verifyConstraints=False,
        matchTags=False,
        matchConstraints=False,
    )
    return whole


def test_varbinds_pass_untouched() -> None:
    for kind in (wire.RESPONSE, wire.GET_BULK, wire.INFORM, wire.SET, wire.GET, wire.GET_NEXT):
        octets = encoder.encode(scoped(wire.build_pdu(kind, 77, VARBINDS, 3, 4)))
        stock, rest = decoder.decode(octets, asn1Spec=rfc3412.ScopedPDU())
        assert rest == b""
        assert len(stock[2].getComponent()[3]) == 200
        raw, _ = decoder.decode(octets, asn1Spec=wire.RawScopedPdu())
        assert wire.parse_pdu(raw[2].getComponent()) == wire.Pdu(kind, 77, 3, 4, VARBINDS)


def test_reports_keep_pysnmps_form() -> None:
    report = v2c.ReportPDU()
    v2c.apiPDU.set_defaults(report)
    v2c.apiPDU.set_varbinds(report, [((1, 3, 6), v2c.Counter32(1))])
    raw, _ = decoder.decode(encoder.encode(scoped(report)), asn1Spec=wire.RawScopedPdu())
    assert v2c.apiPDU.get_varbinds(raw[2].getComponent())[0][1] == 1


def test_the_empty_pdu_of_discovery() -> None:
    pdu = wire.build_pdu(wire.GET, 1, VARBINDS).clone()
    v2c.apiPDU.set_defaults(pdu)
    assert wire.parse_pdu(pdu).varbinds == wire.NO_VARBINDS


def test_models_are_found_and_decode_by_their_spec() -> None:
    assert rfc3412.SnmpV3MessageProcessingModel.SNMP_MSG_SPEC is rfc3412.SNMPv3Message
    ours = rfc3412.SNMPv3Message.componentType
    for at, (name, raw) in enumerate(zip(ours, wire.RawV3Message.componentType, strict=True)):
        assert name == raw, at


def test_engine_is_as_we_set_it_up() -> None:
    async def check() -> None:
        engine = build_engine(EngineIdentity(b"\x80\x00\x7e\xd9\x05abcd", 41))
        assert symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineID").syntax == engine.snmpEngineID
        assert engine.snmpEngineID.asOctets() == b"\x80\x00\x7e\xd9\x05abcd"
        assert int(symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineBoots").syntax) == 41
        assert list(engine.message_processing_subsystems) == [3]
        assert list(engine.security_models) == [3]
        assert isinstance(engine.security_models[3], Usm)
        assert isinstance(engine.access_control_model[3], NoAccess)
        model = engine.message_processing_subsystems[3]
        address = udp.UdpTransportAddress(("127.0.0.1", 161))
        model.pin_engine(udp.DOMAIN_NAME, address, b"engine")
        assert model.get_peer_engine_info(udp.DOMAIN_NAME, address)[0].asOctets() == b"engine"

    asyncio.run(check())


def test_signatures_of_the_dispatcher() -> None:
    send = list(inspect.signature(MsgAndPduDispatcher.send_pdu).parameters)
    assert send[1:] == [
        "snmpEngine",
        "transportDomain",
        "transportAddress",
        "messageProcessingModel",
        "securityModel",
        "securityName",
        "securityLevel",
        "contextEngineId",
        "contextName",
        "pduVersion",
        "PDU",
        "expectResponse",
        "timeout",
        "cbFun",
        "cbCtx",
    ]
    answer = list(inspect.signature(MsgAndPduDispatcher.return_response_pdu).parameters)
    assert answer[1:] == [
        "snmpEngine",
        "messageProcessingModel",
        "securityModel",
        "securityName",
        "securityLevel",
        "contextEngineId",
        "contextName",
        "pduVersion",
        "PDU",
        "maxSizeResponseScopedPDU",
        "stateReference",
        "statusInformation",
    ]


def test_version() -> None:
    major, minor, patch = map(int, pysnmp.__version__.split(".")[:3])
    assert (major, minor) == (7, 1)
    assert patch >= 30, "earlier ones accept messages without authentication"


def test_a_mac_has_its_place_also_where_zeros_come_before_it() -> None:
    """pysnmp puts it in the first 24 zeros of the message: here they are in the engine ID."""
    zeros = b"\x80\0\0\0\x05" + bytes(27)
    keys = keys_of("peer").localize(zeros)
    right = Datagram(engine_id=zeros, user="peer").octets
    _, at = message.parse_version(right)
    placed = message.parse_security(right, message.parse_global(right, at).parameters_at)
    blank = right[: placed.mac_at] + bytes(24) + right[placed.mac_at + 24 :]
    key = rfc1902.OctetString(keys.authentication)
    assert PlacedHmac().authenticate_outgoing_message(key, blank) == right
    assert PlacedHmac().authenticate_incoming_message(key, None, right) == right
    for wrong in (blank, right[:-1] + b"x", right[:20]):
        with pytest.raises(StatusInformation):
            PlacedHmac().authenticate_incoming_message(key, None, wrong)


def test_pysnmp_measures_by_the_clock_that_nobody_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its notion of a peer's time, its timers and snmpEngineTime."""
    monkeypatch.setattr(clock, "boot_s", lambda: 1234.5)
    assert service.time.time() == 1234.5
    assert dispatch.time() == 1234.5

    async def check() -> None:
        engine = build_engine(EngineIdentity(b"\x80\x00\x7e\xd9\x05abcd", 41))
        shown = symbol(engine, "SNMP-FRAMEWORK-MIB", "snmpEngineTime").syntax
        assert int(shown.clone()) == 0
        monkeypatch.setattr(clock, "boot_s", lambda: 1300.9)
        assert int(shown.clone()) == 66

    asyncio.run(check())


def test_no_engine_is_forgotten_and_an_unproven_clock_is() -> None:
    model = Usm()
    model._SnmpUSMSecurityModel__timeline[rfc1902.OctetString(b"engine")] = (1, 2, 2, 3)
    model._SnmpUSMSecurityModel__timelineExpQueue[7] = [b"engine"]
    model.receive_timer_tick(None, 0)
    assert model._SnmpUSMSecurityModel__timelineExpQueue == {}
    assert model._SnmpUSMSecurityModel__timeline
    model.forget_clock(b"engine")
    model.forget_clock(b"another")
    assert model._SnmpUSMSecurityModel__timeline == {}


def test_what_was_asked_is_known_by_its_id_and_address() -> None:
    model = wire.RawV3Model()
    where = udp.UdpTransportAddress(("192.0.2.1", 161))
    model._cache.push_by_message_id(77, sendPduHandle=1, transportAddress=where)
    assert model.is_asked(77, ("192.0.2.1", 161))
    assert not model.is_asked(77, ("192.0.2.2", 161))
    assert not model.is_asked(78, ("192.0.2.1", 161))
