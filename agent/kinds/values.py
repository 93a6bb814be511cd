"""The types of value that a field of a configuration row may have.

A type says what a value is, whatever the medium: its bounds, its text in a key, the octets that it
takes on the wire; `problem` is what is wrong with a value, `flaw` with the type itself. How a
store, the MIB or a file writes a type is told once there, for all kinds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, ClassVar

from agent.addresses import format_address, parse_address


@dataclass(frozen=True, slots=True)
class Address:
    """An IPv4 address."""

    octets: ClassVar[int] = 4
    low: ClassVar[int] = 0
    high: ClassVar[int] = 0xFFFF_FFFF
    flaw: ClassVar[str] = ""

    def problem(self, value: Any) -> str:
        return _out_of_bounds(value, self.low, self.high)

    def text(self, value: int) -> str:
        return format_address(value)

    def parse(self, text: str) -> int:
        return parse_address(text)


@dataclass(frozen=True, slots=True)
class Number:
    """An unsigned number of `octets` octets in low..high. People may set what is in least..most,
    which is all of it unless `set_low` or `set_high` says otherwise."""

    octets: int
    low: int
    high: int
    set_low: int | None = None
    set_high: int | None = None
    unit: str = ""

    @property
    def least(self) -> int:
        return self.low if self.set_low is None else self.set_low

    @property
    def most(self) -> int:
        return self.high if self.set_high is None else self.set_high

    @property
    def flaw(self) -> str:
        if self.octets not in (1, 2, 4) or self.high >= 1 << 8 * self.octets:
            return f"up to {self.high} does not go into {self.octets} octets, of 1, 2 or 4"
        if not 0 <= self.low <= self.least <= self.most <= self.high:
            return f"{self.least}..{self.most} can be set, {self.low}..{self.high} kept"
        return ""

    def problem(self, value: Any) -> str:
        return _out_of_bounds(value, self.low, self.high)

    def text(self, value: int) -> str:
        return str(value)

    def parse(self, text: str) -> int:
        if not (text.isascii() and text.isdigit()):
            raise ValueError(f"{text!r} is no number")
        value = int(text)
        if problem := self.problem(value):
            raise ValueError(problem)
        return value


@dataclass(frozen=True, slots=True)
class Instant:
    """Whole seconds of the member's clock (agent/clock.py). Members' clocks differ, so it travels
    as seconds from the sender's now, and people read and set how many seconds are left, at most
    `ahead_s`; once it is past that is 0."""

    ahead_s: int
    octets: ClassVar[int] = 4
    low: ClassVar[int] = 0
    high: ClassVar[int] = 0xFFFF_FFFF

    @property
    def flaw(self) -> str:
        return "" if 0 < self.ahead_s < 1 << 31 else f"{self.ahead_s} s do not travel"

    def problem(self, value: Any) -> str:
        return _out_of_bounds(value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the words of an enumeration, whose numbers begin with 1 and leave none out."""

    words: type[enum.IntEnum]
    octets: ClassVar[int] = 1
    low: ClassVar[int] = 1

    @property
    def high(self) -> int:
        return len(self.words)

    @property
    def spelled(self) -> dict[str, enum.IntEnum]:
        """The words as people write them."""
        return {word.name.lower().replace("_", "-"): word for word in self.words}

    @property
    def flaw(self) -> str:
        numbers = [int(word) for word in self.words]
        good = numbers == list(range(1, len(numbers) + 1)) and len(numbers) < 256
        return "" if good else f"{self.words.__name__} is not numbered 1, 2, ... up to 255"

    def problem(self, value: Any) -> str:
        return "" if isinstance(value, self.words) else f"{value!r} is no {self.words.__name__}"

    def text(self, value: int) -> str:
        return next(word for word, one in self.spelled.items() if one == value)

    def parse(self, text: str) -> int:
        if text not in self.spelled:
            raise ValueError(f"{text!r} is none of {', '.join(self.spelled)}")
        return int(self.spelled[text])


@dataclass(frozen=True, slots=True)
class Text:
    """Printable text of at most `most` octets in UTF-8."""

    most: int

    @property
    def flaw(self) -> str:
        return "" if 0 < self.most <= 255 else f"no octet counts {self.most} octets"

    def problem(self, value: Any) -> str:
        if not isinstance(value, str) or not value.isprintable():
            return f"{value!r} is no printable text"
        length = len(value.encode())
        return f"has {length} octets, at most {self.most}" if length > self.most else ""

    def text(self, value: str) -> str:
        return value

    def parse(self, text: str) -> str:
        if problem := self.problem(text):
            raise ValueError(problem)
        return text


@dataclass(frozen=True, slots=True)
class Octets:
    """At most `most` octets of any value."""

    most: int

    @property
    def flaw(self) -> str:
        return "" if 0 < self.most <= 0xFFFF else f"no two octets count {self.most} octets"

    def problem(self, value: Any) -> str:
        if not isinstance(value, bytes):
            return f"{value!r} is no octets"
        return f"has {len(value)} octets, at most {self.most}" if len(value) > self.most else ""


Type = Address | Number | Instant | Choice | Text | Octets
Bounded = Address | Number | Instant | Choice
"""Types whose values are numbers, of one size on the wire."""


def _out_of_bounds(value: Any, low: int, high: int) -> str:
    if type(value) is not int:
        return f"{value!r} is no number"
    return "" if low <= value <= high else f"{value} is not in {low}..{high}"


def host_bits(network: int, prefix_length: int) -> str:
    """What is wrong with a prefix, or ""."""
    wrong = network & (0xFFFF_FFFF >> prefix_length)
    return f"host bits of {format_address(network)}/{prefix_length} are set" if wrong else ""
