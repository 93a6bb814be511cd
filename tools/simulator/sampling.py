"""Which seeds are run, and with how many members: fresh ones each time, and half of them small.

Groups of two and three are where a quorum is lost by one member, where one is alone, and where all
are out at once: most of what broke had two members. So of a mix half of the simulated hours have
two members, a quarter has three, and the rest has 4 to 16. The number of members follows from the
seed, so that a seed can be run again by its number alone.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from agent.limits import MEMBERS_MAX

MIX = "mix"
FRESH = "fresh"
_LARGE = range(4, MEMBERS_MAX + 1)
_ROOT = Path(__file__).parents[2]
_SOURCES = ("agent", "store", "tools")


def members_of(seed: int, members: range | None) -> int:
    """Of a range each seed has another number, in turn; None: of the mix."""
    if members is not None:
        return members[seed % len(members)]
    if seed % 4 == 3:
        return _LARGE[seed // 4 % len(_LARGE)]
    return 3 if seed % 4 == 1 else 2


def commit() -> str:
    """The commit of the checkout that this runs from, or the version of the package."""
    try:
        found = subprocess.run(
            ["git", "-C", str(_ROOT), "rev-parse", "--short=12", "HEAD"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return version("dhcpsync")
    return found.stdout.strip() or version("dhcpsync")


def base_of_commit() -> int:
    """A number for the seeds of this state of the code, the same as long as it is committed as it
    is: from the commit, or where there is none from the sources."""
    name = commit()
    if name == version("dhcpsync"):
        digest = hashlib.sha256()
        for folder in _SOURCES:
            for path in sorted((_ROOT / folder).rglob("*.py")):
                digest.update(path.read_bytes())
        name = digest.hexdigest()
    return _number(name)


def fresh_base() -> int:
    """Another number each time."""
    return _number(f"{commit()} {time.time_ns()}")


def _number(text: str) -> int:
    """A multiple of 1000, so that seeds are told apart from their base at sight."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:7], 16) * 1000
