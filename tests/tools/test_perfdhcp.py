"""Reading perfdhcp's report: the rule of 2.5 %, and delays by percentile."""

from __future__ import annotations

import pytest

from tools.bench.perfdhcp import command, parse_report
from tools.errors import ToolError

REPORT = """Running: perfdhcp -4 -r 200 -R 1000000 -p 2 -W 1000000 -x i -x t -l eth0 10.0.0.1
Scenario: basic.
***Rate statistics***
Rate: 132.989 4-way exchanges/second, expected rate: 200

***Malformed Packets***
Malformed packets: 0
***Statistics for: DISCOVER-OFFER***
sent packets: 400
received packets: 400
drops: 0
drops ratio: 0 %
orphans: 0
non unique addresses: 0

min delay: 0.134 ms
collected packets: 0

***Statistics for: REQUEST-ACK***
sent packets: 400
received packets: 390
drops: 10
drops ratio: 2.500 %
non unique addresses: 2

***Timestamps for packets: DISCOVER-OFFER***
sent / received: 000000.000100 / 000000.000600
sent / received: 000000.010000 / 000000.010200
sent / received: 000000.020000 / 000000.020300
***Timestamps for packets: REQUEST-ACK***
sent / received: 000000.000700 / 000000.001700
"""


def test_a_report_is_read() -> None:
    report = parse_report(REPORT, 2)
    assert report.rate == 195
    assert report.drop_ratio == pytest.approx(0.025)
    assert report.non_unique_acks == 2
    assert report.offers.percentile_ms(50) == pytest.approx(0.3)
    assert report.offers.percentile_ms(99) == pytest.approx(0.5)
    assert report.acks.percentile_ms(50) == pytest.approx(1.0)


def test_one_more_drop_is_too_much() -> None:
    assert parse_report(REPORT.replace("packets: 390", "packets: 391"), 2).is_served
    assert not parse_report(REPORT.replace("packets: 390", "packets: 389"), 2).is_served


def test_no_report_is_an_error_with_its_last_words() -> None:
    with pytest.raises(ToolError, match="interface eth7 doesn't exist"):
        parse_report("Running: perfdhcp\ninterface eth7 doesn't exist\n", 2)


def test_the_command_asks_for_timestamps_only_when_wanted() -> None:
    plain = command("10.0.0.1", 500, 10, timestamps=False)
    assert "t" not in plain
    assert command("10.0.0.1", 500, 10, timestamps=True)[:-3] == [*plain[:-3], "-x", "t"]
    assert plain[-3:] == ["-l", "eth0", "10.0.0.1"]
