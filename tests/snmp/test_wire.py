"""The seams of pysnmp that we rely on: this fails when a new version moves one."""

from __future__ import annotations

import asyncio
import inspect

import pysnmp
from pyasn1.codec.ber import decoder, encoder
from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.proto.api import v2c
from pysnmp.proto.mpmod import rfc3412
from pysnmp.proto.rfc3412 import MsgAndPduDispatcher

from agent.snmp import ber, wire
from agent.snmp.ber import Varbind
from agent.snmp.engine import NoAccess, Usm, build_engine, symbol
from agent.snmp.keys import EngineIdentity

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
