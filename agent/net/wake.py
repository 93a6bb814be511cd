"""The engine wakes the agent by an empty datagram on a local socket.

The datagram carries nothing: what has changed is in the store. Losing one costs the agent
milliseconds, so sending never blocks and never fails. The agent need not wake the engine, which
sees with every batch whether anything has changed; each side binds a socket of its own all the
same, because that also tells that the member runs already."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

from agent.errors import ConfigError

_DRAIN_MAX = 64
_PATH_MAX = 107
"""Octets of a local socket's path (unix(7))."""


class WakeSocket:
    """Bound to `own`, sends to `peer`. Raises ConfigError if `own` cannot be bound."""

    def __init__(self, own: Path, peer: Path) -> None:
        self._own, self._peer = own, str(peer)
        if max(len(bytes(own)), len(bytes(peer))) > _PATH_MAX:
            raise ConfigError(
                str(own),
                "",
                f"is too long for a local socket (at most {_PATH_MAX} octets)",
                "use a folder with a shorter path",
            )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._remove_stale()
            self._socket.bind(str(own))
        except ConfigError:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise ConfigError(
                str(own), "", f"cannot be bound: {error.strerror}", "check the folder's rights"
            ) from None

    def _remove_stale(self) -> None:
        """A socket file outlives its process; one that still answers belongs to a live one."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(self._own))
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.ECONNREFUSED:
                    raise
            else:
                raise ConfigError(
                    str(self._own),
                    "",
                    "is in use: this member runs already",
                    "stop the other `dhcpsync serve` first",
                )
        self._own.unlink(missing_ok=True)

    def fileno(self) -> int:
        return self._socket.fileno()

    def notify(self) -> None:
        """Wake the other side, if it is there and not awake already."""
        with contextlib.suppress(OSError):
            self._socket.sendto(b"", self._peer)

    def drain(self) -> bool:
        """Take what waits; whether there was anything."""
        for count in range(_DRAIN_MAX):
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return count > 0
        return True

    def close(self) -> None:
        self._socket.close()
        self._own.unlink(missing_ok=True)
