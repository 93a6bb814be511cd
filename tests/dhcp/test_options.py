"""Options between people's text and octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dhcp.option_types import ELSEWHERE, EXAMPLES, OPTION_TYPES, ValueKind, option_type
from agent.dhcp.options import check_octets, format_text, parse_text
from agent.errors import ConfigError


@pytest.mark.parametrize(
    ("option", "text", "data"),
    [
        ("routers", "198.18.0.1, 198.18.0.2", "c6120001c6120002"),
        (3, "198.18.0.1 198.18.0.2", "c6120001c6120002"),
        ("3", "198.18.0.1", "c6120001"),
        ("Domain_Name_Servers", "8.8.8.8", "08080808"),
        ("time-offset", "-3600", "fffff1f0"),
        ("default-ip-ttl", "64", "40"),
        ("interface-mtu", "1500", "05dc"),
        ("arp-cache-timeout", "600", "00000258"),
        ("ip-forwarding", "yes", "01"),
        ("ip-forwarding", "false", "00"),
        ("domain-name", "example.org", "6578616d706c652e6f7267"),
        ("static-routes", "10.0.0.1 198.18.0.1, 10.0.0.2 198.18.0.1",
         "0a000001c61200010a000002c6120001"),
        ("path-mtu-plateau-table", "68, 1492", "004405d4"),
        # RFC 3442, examples of the encoding: 10/8, 10.17/16, 10.27.129/24, default
        ("classless-static-routes", "10.0.0.0/8 via 198.18.0.1", "080ac6120001"),
        (121, "10.17.0.0/16 198.18.0.1, 10.27.129.0/24 via 198.18.0.1",
         "100a11c6120001180a1b81c6120001"),
        (121, "0.0.0.0/0 via 198.18.0.1", "00c6120001"),
        # RFC 3397 2: eng.apple.com. marketing.apple.com. with a pointer to apple.com
        (
            "domain-search",
            "eng.apple.com, marketing.apple.com",
            "03656e67056170706c6503636f6d00096d61726b6574696e67c004",
        ),
        ("option-224", "01:02:ff", "0102ff"),
        (224, "0102FF", "0102ff"),
        # dhcp-options(5) of dhcpd: an octet may have one digit
        (224, "1:4:ac:10:1:2", "0104ac100102"),
        (43, "1-4-ac 10 1 02", "0104ac100102"),
        (43, "0102:0304", "01020304"),
        ("routers", "0xc6120001", "c6120001"),
        ("domain-name", "0x616263", "616263"),
        ("ip-forwarding", "0x01", "01"),
        ("captive-portal", "https://portal.example/",
         "68747470733a2f2f706f7274616c2e6578616d706c652f"),
        ("ipv6-only-preferred", "1800", "00000708"),
    ],
)  # fmt: skip
def test_text_to_octets_and_back(option: int | str, text: str, data: str) -> None:
    octets = bytes.fromhex(data)
    assert parse_text(option, text) == octets
    assert parse_text(option, format_text(option, octets)) == octets


def test_rfc3397_names_are_read_through_pointers_and_shown_whole() -> None:
    data = bytes.fromhex("03656e67056170706c6503636f6d00096d61726b6574696e67c004")
    assert format_text(119, data) == "eng.apple.com, marketing.apple.com"


@pytest.mark.parametrize("kind", list(ValueKind))
def test_every_kinds_example_is_right(kind: ValueKind) -> None:
    code = next(row.code for row in OPTION_TYPES.values() if row.kind is kind)
    assert parse_text(code, EXAMPLES[kind])


def test_every_option_of_rfc2132_is_named_once() -> None:
    assert set(range(1, 77)) <= OPTION_TYPES.keys()
    assert len({row.name for row in OPTION_TYPES.values()}) == len(OPTION_TYPES)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("routers", "198.18.0", ["routers (3)", "'198.18.0' is no IPv4", "198.18.0.1, 198.18.0.2"]),
        ("routers", " ", ["routers (3)", "empty"]),
        ("interface-mtu", "70000", ["interface-mtu (26)", "out of range", "0..65535"]),
        ("interface-mtu", "big", ["'big' is no number"]),
        ("static-routes", "10.0.0.1", ["odd number"]),
        ("ip-forwarding", "maybe", ["neither true nor false"]),
        ("domain-name", "a\nb", ["cannot be printed"]),
        ("domain-search", "a..b", ["'a..b' is no domain name"]),
        (121, "10.0.0.1/8 via 198.18.0.1", ["host bits set"]),
        (121, "10.0.0.0/8", ["is no route"]),
        (224, "xyz", ["option-224 (224)", "not hexadecimal"]),
        (224, "1", ["not hexadecimal"]),
        (224, "1:123", ["not hexadecimal"]),
        (224, ":01", ["not hexadecimal"]),
        ("routers", "0xc61200", ["3 octets", "198.18.0.1"]),
        ("ip-forwarding", "0x02", ["neither true nor false"]),
        ("domain-search", "0x03656e67", ["runs over the end"]),
        ("router", "198.18.0.1", ["is no known option", "routers"]),
        (0, "x", ["is no option code", "1..254"]),
        (255, "x", ["1..254"]),
        ("option-999", "00", ["1..254"]),
    ],
)
def test_errors_name_the_option_and_what_is_right(
    option: int | str, text: str, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_text(option, text)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("code", "octets", "words"),
    [
        (3, "c61200", "3 octets"),
        (1, "ffff", "multiple of 4"),
        (33, "c6120001", "multiple of 8"),
        (2, "0102", "2 octets"),
        (23, "0102", "2 octets"),
        (26, "01", "1 octets"),
        (25, "010203", "multiple of 2"),
        (19, "02", "neither true nor false"),
        (119, "ff", "backwards"),
        (119, "0261ff00", "not ASCII"),
        (121, "21c6120001", "runs over the end"),
        (26, "0000", "0 is less than 68"),
        (26, "0043", "67 is less than 68"),
        (25, "05dc0000", "1500, 0 is less than 68"),
        (23, "00", "0 is less than 1"),
        (37, "00", "0 is less than 1"),
        (22, "023f", "575 is less than 576"),
        (119, ("3f" + "61" * 63) * 4 + "00", "longer than 253 octets"),
    ],
)
def test_rfc2132_octets_that_clients_cannot_use_are_refused(
    code: int, octets: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        check_octets(code, bytes.fromhex(octets))


@given(st.integers(1, 254), st.binary(min_size=1, max_size=300))
def test_octets_that_can_be_read_are_shown_as_what_sets_them(code: int, data: bytes) -> None:
    try:
        check_octets(code, data)
    except ConfigError:
        return
    assert parse_text(code, format_text(code, data)) == data


@given(st.text("0x123456789abcdefABCDEF", min_size=1, max_size=9))
def test_text_that_looks_like_octets_is_shown_as_octets(text: str) -> None:
    data = ("0x" + text).encode()
    assert parse_text(15, format_text(15, data)) == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("any text", "any text"),
        (" x", '" x"'),
        ("x ", '"x "'),
        (" ", '" "'),
        ('"x"', '"x"'),
        ('"', '"'),
        ('""', '""'),
        ('" x"', '"" x""'),
        ('" x', '" x'),
        (' "x"', '" "x""'),
    ],
)
def test_quotes_keep_the_blanks_at_the_edges_of_a_text(text: str, said: str) -> None:
    assert format_text(15, text.encode()) == said
    assert parse_text(15, f"  {said} ") == text.encode()


@given(st.text(' "x0', min_size=1, max_size=12))
def test_texts_of_blanks_and_quotes_are_shown_as_what_sets_them(text: str) -> None:
    said = format_text(15, text.encode())
    assert said == said.strip()
    assert parse_text(15, said) == text.encode()


def test_a_text_of_very_many_quotes_is_shown() -> None:
    text = '"' * 2000 + " x" + '"' * 2000
    assert parse_text(15, format_text(15, text.encode())) == text.encode()


@given(st.integers(1, 254), st.binary(min_size=1, max_size=300))
def test_any_octets_can_be_shown(code: int, data: bytes) -> None:
    text = format_text(code, data)
    assert text
    if option_type(code).kind is ValueKind.HEX:
        assert parse_text(code, text) == data


@given(st.text(max_size=40), st.integers(1, 254))
def test_any_text_gives_octets_or_a_config_error(text: str, code: int) -> None:
    try:
        data = parse_text(code, text)
    except ConfigError:
        return
    assert data


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("router", "routers"),
        ("Domain_Name_Server", "domain-name-servers"),
        ("ntp-server", "ntp-servers"),
        ("next-server", "tftp-server-name"),
        ("next_server", "tftp-server-name"),
        ("dns-servers", "domain-name-servers"),
        ("gateway", "routers"),
        ("filename", "boot-file-name"),
    ],
)
def test_a_name_that_is_none_is_told_with_the_one_that_is_meant(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"is no known option; did you mean {meant}\\?"):
        option_type(name)


@pytest.mark.parametrize("name", ["sip-phone", "colour", "x" * 5000])
def test_nothing_is_suggested_that_is_only_like_it(name: str) -> None:
    with pytest.raises(ConfigError, match="is no known option; use a code 1"):
        option_type(name)


def test_what_others_call_an_option_is_one_here() -> None:
    names = {known.name for known in OPTION_TYPES.values()}
    assert set(ELSEWHERE.values()) <= names
    assert not ELSEWHERE.keys() & names
