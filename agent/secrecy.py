"""Files with keys or passphrases in them, which a copy or an editor left for everybody to read."""

from __future__ import annotations

import stat
from pathlib import Path


def withdraw_rights(path: Path, allowed: int) -> str:
    """Take every right to `path` beyond the mode `allowed`. Returns words about it, "" if there was
    none, or it is no file but a pipe. Raises OSError where that cannot be done (the file is
    somebody else's)."""
    found = path.stat().st_mode
    mode = stat.S_IMODE(found)
    if not stat.S_ISREG(found) or not mode & ~allowed & 0o777:
        return ""
    path.chmod(mode & allowed)
    return (
        f"{path} had mode {mode:04o} and has {mode & allowed:04o} now: others could read or change"
        " it. Whoever did has its keys (docs/operations.md, Users and keys)"
    )
