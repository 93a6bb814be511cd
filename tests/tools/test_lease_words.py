"""What a person may write to name a lease."""

from __future__ import annotations

import pytest

from agent.dhcp.request import hostname_of
from agent.errors import ConfigError
from agent.model import parse_address
from tools.lease.words import CLIENT_ID, HARDWARE_ADDRESS, HOST_NAME, Key, parse_words

MAC = bytes.fromhex("aabbccddee0f")


@pytest.mark.parametrize(
    "text",
    [
        "aa:bb:cc:dd:ee:0f", "AA:BB:CC:DD:EE:0F", "aa:bb:cc:dd:ee:f", "aa-bb-cc-dd-ee-0f",
        "aabb.ccdd.ee0f", "AABB.CCDD.EE0F", "aabbccddee0f", " aa:bb:cc:dd:ee:0f ",
        "aabb-ccdd-ee0f", "aabbcc-ddee0f", "aa bb cc dd ee 0f",
    ],
)  # fmt: skip
def test_a_mac_as_any_device_shows_it(text: str) -> None:
    words = parse_words(text)
    assert words.address is None
    assert Key(HARDWARE_ADDRESS, MAC) in words.keys


def test_an_address_is_nothing_else() -> None:
    assert parse_words("192.0.2.17") == (parse_address("192.0.2.17"), ())


@pytest.mark.parametrize(
    "text",
    [
        "01:aa:bb:cc:dd:ee:0f", "01-AA-bb-cc-dd-ee-0f", "0x01AABBCCDDEE0F", "01aa.bbcc.ddee.0f",
        "01aabbccddee0f",
    ],
)  # fmt: skip
def test_a_client_id_in_octets(text: str) -> None:
    keys = parse_words(text).keys
    assert Key(CLIENT_ID, b"\x01" + MAC) in keys
    assert not any(key.kind == HARDWARE_ADDRESS for key in keys)


def test_a_text_is_a_host_name_or_a_client_id() -> None:
    assert parse_words("printer-1").keys == (
        Key(HOST_NAME, b"printer-1"),
        Key(CLIENT_ID, b"printer-1"),
        Key(CLIENT_ID, b"\0printer-1"),
    )


def test_a_host_name_that_looks_like_octets_is_one_as_well() -> None:
    for text in ("10-0-0-1", "aa-bb", "deadbeef0001", "dead-beef", "dead.beef"):
        assert Key(HOST_NAME, text.encode()) in parse_words(text).keys, text


def test_a_name_that_is_no_utf8_is_looked_for_as_a_member_has_it() -> None:
    """An argument of such octets has surrogates in it; the engine writes U+FFFD for each."""
    assert Key(HOST_NAME, hostname_of(b"caf\xe9").encode()) in parse_words("caf\udce9").keys


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aa:bb:cc:dd:ee:gg", "'aa:bb:cc:dd:ee:gg' is no MAC and no client id"),
        ("aa:bb-cc:dd:ee:ff", "is no MAC and no client id"),
        ("192.0.2.256", "192.0.2.256"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.17/", "192.0.2.17/"),
        ("", "nothing is named"),
        ("  ", "nothing is named"),
        ("x" * 101, "cannot be looked for"),
        ("0x" + "ab" * 101, "cannot be looked for"),
        ("a\x1bb", "cannot be looked for"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"{problem}.*write an address .*aabb\.ccdd\.eeff"):
        parse_words(text)
