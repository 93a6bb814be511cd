"""The log of a member's processes, on standard error: lines for people, or for the journal.

Where systemd takes standard error into its journal ($JOURNAL_STREAM names that very stream,
sd-daemon(3)), each line begins with its priority instead of a time and a level in words, which the
journal keeps itself: `journalctl -p warning` finds what is to be found.

At SIGHUP `[log]` of member.toml is read anew, and nothing else: the configuration comes by SET, and
who a member is and where it listens holds for one start.
"""

from __future__ import annotations

import datetime
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from agent.errors import DhcpSyncError
from agent.member_file import load_member_file

log = logging.getLogger("dhcpsync")

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
_CRITICAL = 2


class LineFormatter(logging.Formatter):
    """Gives each line of a message its own prefix: the engine logs a whole batch at once."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        prefix = super().formatMessage(record)
        return "\n".join(prefix + line for line in record.message.split("\n"))


class JournalFormatter(logging.Formatter):
    """Each line with its priority, those of a traceback too: the journal reads line by line."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITIES.get(record.levelno, _CRITICAL)}>{record.name}: "
        return "\n".join(prefix + line for line in super().format(record).split("\n"))


class JsonFormatter(logging.Formatter):
    """An object a line, each line of a message in one of its own; an event (agent/event_log.py) as
    `dhcpsync events --json` has it."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        told: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        more: dict[str, object] = {}
        if event := getattr(record, "event", None):
            more["event"] = event
        if record.exc_info:
            more["exception"] = self.formatException(record.exc_info)
        lines = record.getMessage().split("\n")
        return "\n".join(
            json.dumps(told | {"message": line} | more, ensure_ascii=False) for line in lines
        )


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """A process that was started by a service may have sent its standard error elsewhere."""
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environment.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"


def configure_logging(
    level: str, form: str, stream: TextIO, environment: Mapping[str, str]
) -> None:
    """One line an event, without what our formats do not show. `form`: "text" or "json"."""
    handler = logging.StreamHandler(stream)
    if form == "json":
        handler.setFormatter(JsonFormatter())
    elif is_journal(stream, environment):
        handler.setFormatter(JournalFormatter())
    else:
        handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(name)s: "))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.getLogger("alembic").setLevel(logging.WARNING)


@dataclass(slots=True)
class Hangup:
    """What a process does at SIGHUP: notes it at once, and acts where its loop comes to it, not in
    the midst of a line that it is writing. `level` is that of the command line, which stays.
    `follow` is told whether a line for each packet is wanted."""

    folder: Path
    level: str | None
    follow: Callable[[bool], None] = lambda _: None
    noted: bool = False

    def note(self, *_: object) -> None:
        self.noted = True

    def act_if_noted(self) -> None:
        if self.noted:
            self.noted = False
            self.act()

    def act(self) -> None:
        try:
            member = load_member_file(self.folder)
        except DhcpSyncError as error:
            log.error("SIGHUP: %s; the log goes on as before", error)
            return
        logging.getLogger().setLevel((self.level or member.log_level).upper())
        self.follow(member.log_packets)
        log.info("SIGHUP: [log] of member.toml is read anew; the rest holds from the next start")
