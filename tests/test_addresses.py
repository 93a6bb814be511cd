"""IPv4 addresses as people write them."""

from __future__ import annotations

import pytest

from agent.addresses import format_address, parse_address


@pytest.mark.parametrize("text", ["0.0.0.0", "198.18.0.1", "255.255.255.255", "10.0.100.20"])
def test_what_is_read_is_written_again(text: str) -> None:
    assert format_address(parse_address(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "198.18.0", "198.18.0.1.1", "198.18.0.256", "198.18.0.-1", "198.18.0.x", "198.18.0.١",
     "010.077.0.1", "198.18.0.00", f"198.18.0.{'9' * 5000}", "198.18.0.1/24"],
)  # fmt: skip
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no IPv4 address, expected a\.b\.c\.d"):
        parse_address(text)
