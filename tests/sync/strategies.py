"""Hypothesis strategies for the records that members exchange."""

from __future__ import annotations

from hypothesis import strategies as st

from agent.kinds.scope import subnet_scope
from agent.kinds.subnet import OutsidePolicy
from agent.limits import CONFLICT_PARTIES_MAX
from agent.model import (
    NEVER,
    Ballot,
    BallotNumber,
    Binding,
    BindingState,
    ClaimPolicy,
    ConfigRecord,
    ConfigRow,
    Group,
    Member,
    MemberRole,
    MemberState,
    Nonce,
    Option,
    Pool,
    ProbePolicy,
    Reservation,
    Service,
    Setting,
    SettingName,
    StoreMark,
    Subnet,
    Transaction,
    Trouble,
    Version,
)
from agent.sync import messages as m
from agent.sync.conflict import Rank, pack_parties

NOW_S = 1_700_000_000
NOW_MS = NOW_S * 1000 + 321

u8 = st.integers(0, 255)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
u63 = st.integers(0, 2**63 - 1)
positive = st.integers(1, 2**63 - 1)
member_ids = st.integers(1, 2**31 - 1)
instants = st.one_of(st.just(0), st.just(NEVER), st.integers(NOW_S - 10**7, NOW_S + 10**7))
names = st.text(max_size=20).filter(lambda text: len(text.encode("utf-8", "replace")) <= 255)


parties = st.dictionaries(
    st.binary(min_size=1, max_size=257),
    st.builds(Rank, st.booleans(), u32, u8, u32),
    min_size=1,
    max_size=CONFLICT_PARTIES_MAX,
)


@st.composite
def bindings(draw: st.DrawFn) -> Binding:
    client_id = draw(st.none() | st.binary(max_size=20))
    hardware_type = draw(u8)
    hardware_address = draw(st.binary(max_size=16))
    key = draw(st.sampled_from(["id", "hardware", "other"]))
    if key == "id" and client_id is not None:
        client_key = b"\x01" + client_id
    elif key == "hardware":
        client_key = b"\x00" + bytes((hardware_type,)) + hardware_address
    else:
        client_key = draw(st.binary(min_size=1, max_size=20))
    expires_at, potential_expires_at = sorted((draw(instants), draw(instants)))
    transaction = draw(st.sampled_from(Transaction))
    options = draw(st.binary(max_size=40))
    if transaction is Transaction.CONFLICT:
        options = pack_parties(draw(parties))
    return Binding(
        address=draw(u32),
        client_key=client_key,
        client_id=client_id,
        hardware_type=hardware_type,
        hardware_address=hardware_address,
        hostname=draw(names),
        state=draw(st.sampled_from(BindingState)),
        epoch=draw(u63),
        grant=draw(u32),
        expires_at=expires_at,
        potential_expires_at=potential_expires_at,
        acknowledged_at=draw(instants),
        transaction=transaction,
        transaction_at=draw(instants),
        transaction_server=draw(st.just(0) | member_ids),
        options=options,
        stream=draw(positive),
        seq=draw(positive),
    )


@st.composite
def config_records(draw: st.DrawFn) -> ConfigRecord:
    low, high = sorted((draw(u32), draw(u32)))
    prefix = draw(st.integers(0, 32))
    network = low & ~(0xFFFF_FFFF >> prefix)
    active = draw(st.booleans())
    rows: list[ConfigRow] = [
        Subnet(
            network,
            prefix,
            draw(names),
            draw(names),
            draw(st.sampled_from(ClaimPolicy)),
            draw(u32),
            draw(st.sampled_from(ProbePolicy)),
            draw(st.sampled_from(OutsidePolicy)),
            draw(names),
            active,
        ),
        Pool(low, high, draw(names), active),
        Option(
            *subnet_scope(network, prefix),
            draw(st.integers(1, 254)),
            draw(st.binary(max_size=40)),
            active,
        ),
        Setting(
            *subnet_scope(network, prefix), draw(st.sampled_from(SettingName)), draw(u32), active
        ),
        Reservation(low, draw(st.binary(max_size=30)), draw(names), active),
    ]
    row = draw(st.sampled_from(rows))
    version = Version(draw(positive), draw(member_ids))
    return ConfigRecord(row, version, draw(st.booleans()), draw(positive), draw(positive))


records = bindings() | config_records()
record_lists = st.lists(records, max_size=5).map(tuple)
headers = st.builds(m.Header, u32, u32, u32, st.binary(max_size=16))
vectors = st.dictionaries(u63, u63, max_size=6)
nonces = st.builds(Nonce, u63, u63)
marks = st.builds(StoreMark, u32, u63)
ballots = st.builds(BallotNumber, u63, u63)


@st.composite
def range_lists(draw: st.DrawFn) -> tuple[m.RangeEpoch, ...]:
    edges = sorted(draw(st.sets(u32, max_size=8)))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return tuple(m.RangeEpoch(first, last, draw(u32)) for first, last in pairs)


@st.composite
def verdict_lists(draw: st.DrawFn) -> tuple[m.Verdict, ...]:
    return tuple(
        m.Verdict(r.first, r.last, draw(st.booleans()), r.epoch, draw(u32))
        for r in draw(range_lists())
    )


members = st.builds(
    Member,
    u32,
    names,
    u32,
    u16,
    st.binary(max_size=32),
    st.sampled_from(MemberState),
    st.sampled_from(MemberRole),
    u16,
    u32,
    st.booleans(),
)
groups = st.builds(
    Group, names, u32, u32, u32, st.lists(members, max_size=4).map(tuple), u32, u32, u32
)

held_ballots = st.none() | st.one_of(
    st.builds(Ballot, u32, ballots),
    st.builds(Ballot, u32, ballots, ballots, groups),
)

requests = st.one_of(
    st.builds(
        m.Hello,
        headers,
        vectors,
        st.lists(u32, max_size=5).map(tuple),
        u63,
        st.booleans(),
        st.binary(max_size=16),
        version=u63,
        known=marks,
        owing=st.lists(u32, max_size=5).map(tuple),
        free=st.dictionaries(u32, u32, max_size=5),
        service=st.sampled_from(Service),
        votes=st.booleans(),
        ballot=held_ballots,
        trouble=st.sampled_from(Trouble),
    ),
    st.builds(m.BindingUpdate, headers, u63, u63, u63, record_lists),
    st.builds(m.ChangePull, headers, u63, u63, u16),
    st.builds(m.BlockPull, headers, st.integers(-1, 2**32), u16),
    st.builds(m.StreamQuery, headers),
    st.builds(m.PollAsk, headers, nonces, range_lists()),
    st.builds(m.PollReserve, headers, nonces, range_lists()),
    st.builds(m.PollAbort, headers, nonces, range_lists(), u63),
    st.builds(m.TransferAsk, headers, nonces, st.just(7), u32.map(lambda n: max(n, 7)), u32, u32),
    st.builds(m.TransferTaken, headers, nonces, range_lists(), u63),
    st.builds(m.GroupQuery, headers),
    st.builds(m.BallotPrepare, headers, u32, ballots),
    st.builds(m.BallotAccept, headers, ballots, groups),
    st.builds(m.GroupCommit, headers, groups),
)
responses = st.one_of(
    st.just(m.Acknowledged()),
    st.builds(m.ChangePage, u63, u63, u63, record_lists, st.booleans()),
    st.builds(m.BlockPage, st.integers(-1, 2**32), record_lists, st.booleans()),
    st.builds(m.StreamAnswer, vectors, vectors, st.lists(config_records(), max_size=4).map(tuple)),
    st.builds(m.PollAnswer, nonces, u32, verdict_lists(), marks),
    st.builds(m.TransferOffer, nonces, range_lists(), marks),
    st.builds(m.GroupAnswer, st.none() | groups),
    st.builds(m.BallotAnswer, u32, st.booleans(), ballots, st.none() | ballots, st.none() | groups),
)
