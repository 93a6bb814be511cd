"""How pysnmp's engine carries lists of variable bindings without looking into them, in what this
member asks of others and in their answers (requests of others: `message.py`).

pysnmp decodes a message by a pyasn1 schema. Ours is pysnmp's own with one difference: the
variable bindings of every PDU are ANY, which pyasn1 copies as octets in one step. `agent.snmp.ber`
reads and writes those octets. All the rest of a message, its security included, stays
pysnmp's. Report PDUs keep pysnmp's schema, because its engine itself reads and makes them.

It relies on these seams of pysnmp 7.1, which `tests/snmp/test_wire.py` holds:
message processing models are looked up in `engine.message_processing_subsystems`, decode by
`SNMP_MSG_SPEC`, and keep what they know of other engines in `__engineIdCache`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyasn1.type import constraint, namedtype, univ
from pysnmp.proto import rfc1902, rfc1905
from pysnmp.proto.mpmod import rfc3412

from agent.snmp import ber, message

GET = rfc1905.GetRequestPDU.tagSet
GET_NEXT = rfc1905.GetNextRequestPDU.tagSet
GET_BULK = rfc1905.GetBulkRequestPDU.tagSet
RESPONSE = rfc1905.ResponsePDU.tagSet
SET = rfc1905.SetRequestPDU.tagSet
INFORM = rfc1905.InformRequestPDU.tagSet
TRAP = rfc1905.SNMPv2TrapPDU.tagSet

KINDS = {
    message.GET: GET,
    message.GET_NEXT: GET_NEXT,
    message.GET_BULK: GET_BULK,
    message.SET: SET,
    message.INFORM: INFORM,
}
"""The requests, as `agent.snmp.message` names them."""

_COUNT = univ.Integer().subtype(subtypeSpec=constraint.ValueRangeConstraint(0, 2**31 - 1))


class RawVarbinds(univ.Any):  # type: ignore[misc]
    """The octets of a VarBindList."""

    def clear(self) -> None:
        """What pysnmp calls on the list of the empty PDU by which it discovers an engine."""


class RawPdu(univ.Sequence):  # type: ignore[misc]
    """Any PDU but a Report (RFC 3416 3); positions 1 and 2 are non-repeaters and
    max-repetitions in a GETBULK, error-status and error-index otherwise."""

    componentType = namedtype.NamedTypes(  # noqa: N815
        namedtype.NamedType("request-id", rfc1902.Integer32()),
        namedtype.NamedType("error-status", _COUNT),
        namedtype.NamedType("error-index", _COUNT),
        namedtype.NamedType("variable-bindings", RawVarbinds(ber.varbind_list(()))),
    )


_RAW = {
    tag_set: type(f"Raw{name}", (RawPdu,), {"tagSet": tag_set})
    for name, tag_set in (
        ("Get", GET),
        ("GetNext", GET_NEXT),
        ("GetBulk", GET_BULK),
        ("Response", RESPONSE),
        ("Set", SET),
        ("Inform", INFORM),
        ("Trap", TRAP),
    )
}


class RawPdus(univ.Choice):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        *(namedtype.NamedType(raw.__name__, raw()) for raw in _RAW.values()),
        namedtype.NamedType("report", rfc1905.ReportPDU()),
    )


class RawScopedPdu(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        namedtype.NamedType("contextEngineId", univ.OctetString()),
        namedtype.NamedType("contextName", univ.OctetString()),
        namedtype.NamedType("data", RawPdus()),
    )


class RawScopedPduData(univ.Choice):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        namedtype.NamedType("plaintext", RawScopedPdu()),
        namedtype.NamedType("encryptedPDU", univ.OctetString()),
    )


class RawV3Message(univ.Sequence):  # type: ignore[misc]
    componentType = namedtype.NamedTypes(  # noqa: N815
        namedtype.NamedType("msgVersion", _COUNT),
        namedtype.NamedType("msgGlobalData", rfc3412.HeaderData()),
        namedtype.NamedType("msgSecurityParameters", univ.OctetString()),
        namedtype.NamedType("msgData", RawScopedPduData()),
    )


class RawV3Model(rfc3412.SnmpV3MessageProcessingModel):  # type: ignore[misc]
    SNMP_MSG_SPEC = RawV3Message

    def is_asked(self, message_id: int, address: tuple[str, int]) -> bool:
        """Whether a request with that msgID went to `address` and still waits for its answer."""
        waiting = self._cache._Cache__msgIdIndex.get(message_id)
        return waiting is not None and tuple(waiting[0]["transportAddress"]) == address

    def pin_engine(self, domain: object, address: object, engine_id: bytes) -> None:
        """Know the engine at `address` as `engine_id`, whatever Reports from there say: pysnmp
        would believe the first unauthenticated Report that names one."""
        known = self._SnmpV3MessageProcessingModel__engineIdCache
        pinned = known.get((domain, address))
        if pinned is None or pinned["securityEngineId"].asOctets() != engine_id:
            octets = rfc1902.OctetString(engine_id)
            known[domain, address] = {
                "securityEngineId": octets,
                "contextEngineId": octets,
                "contextName": rfc1902.OctetString(b""),
            }


@dataclass(frozen=True, slots=True)
class Pdu:
    """A PDU as values. `first` and `second` are error-status and error-index, or in a GETBULK
    non-repeaters and max-repetitions; `varbinds` the octets of the list."""

    kind: object
    request_id: int
    first: int
    second: int
    varbinds: bytes


def parse_pdu(pdu: RawPdu) -> Pdu:
    return Pdu(
        pdu.tagSet,
        int(pdu.getComponentByPosition(0)),
        int(pdu.getComponentByPosition(1)),
        int(pdu.getComponentByPosition(2)),
        pdu.getComponentByPosition(3).asOctets(),
    )


def build_pdu(
    kind: object, request_id: int, varbinds: bytes, first: int = 0, second: int = 0
) -> RawPdu:
    pdu: RawPdu = _RAW[kind]()
    for position, value in enumerate((request_id, first, second, RawVarbinds(varbinds))):
        pdu.setComponentByPosition(
            position, value, verifyConstraints=False, matchTags=False, matchConstraints=False
        )
    return pdu


NO_VARBINDS = ber.varbind_list(())
