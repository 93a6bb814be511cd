"""A pool user (seed of the words: reliable server pooling): resolve, choose, fail over, call back.

The group's member table is the handle space: every member holds all of it, so any member that is
known resolves the whole pool, and joining and leaving the group are registering and
deregistering. What is asked of the pool is a function of a session with one member (`run`). Where
that member does not answer it is suspect for a while, the next one in the policy's order is asked
for the member list (which is also the proof that it answers), the application is called back, and
the function runs there, from its beginning.

So the function must be one that may run twice. Reading may; so may what reads before it writes.
For a bare SET that was sent and not answered nobody knows whether it was done: `run(once=True)`
raises UncertainError then, unless `confirm` can tell at the next member.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from agent.limits import MEMBERS_MAX
from agent.model import MemberState, format_address
from agent.snmp.columns import COUNTERS, MEMBER
from agent.snmp.oid import Oid
from tools.errors import ManagerError, ToolError
from tools.manager import Row, Session
from tools.pool.policy import Chooser, Element, Endpoint, Policy

T = TypeVar("T")

_SILENT = ("", "requestTimedOut", "notInTimeWindow")
_NOTHING_DONE = ("resourceUnavailable",)
"""The member says so itself: its store does not commit, or it decides nothing yet (it has just
started); and a SET is all or nothing."""

_USE = tuple(COUNTERS[f"dhcpSyncCounter{name}"] for name in ("Discovers", "Requests"))
"""What costs a server a search or a commit. The number of bindings would say nothing: every member
holds all of them."""


class PoolError(ToolError):
    """No member of the pool could be used; the message says why not, one by one."""


class UncertainError(ToolError):
    """A request that must not be made twice was sent to `element`, and nobody knows whether it was
    done: read back before it is repeated."""

    def __init__(self, element: Element, why: str) -> None:
        super().__init__(f"{element} may or may not have done it ({why}); read back before a retry")
        self.element = element


@dataclass(frozen=True, slots=True)
class Failover:
    """`old` could not be used, and why; `session` is with `new`, which has just answered, and may
    be used by who is called back. What that raises counts as if `new` had failed."""

    old: Element
    new: Element
    why: str
    session: Session


@dataclass(frozen=True, slots=True)
class Limits:
    """`suspect_s`: how long a member that did not answer is asked last. `sample_s`: over how long
    the use of the members is measured the first time."""

    suspect_s: float = 30.0
    sample_s: float = 0.5


class Pool:
    """See the module. Not for several threads. Time and chance come from outside."""

    def __init__(
        self,
        known: Sequence[Element],
        opener: Callable[[Element], Session],
        *,
        policy: Policy = Policy.ROUND_ROBIN,
        random: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_failover: Callable[[Failover], None] | None = None,
        limits: Limits | None = None,
    ) -> None:
        if not known:
            raise PoolError("a pool needs at least one known member")
        self._seeds = tuple(known)
        self._elements = tuple(known)
        self._open = opener
        self._chooser = Chooser(policy, random or Random())
        self._clock = clock
        self._sleep = sleep
        self._on_failover = on_failover
        self._limits = limits or Limits()
        self._suspect_until: dict[Endpoint, float] = {}
        self._resolved = False
        self._answered: Element | None = None
        self._use: dict[Endpoint, tuple[float, int]] = {}
        self._loads: dict[Endpoint, float] = {}

    @property
    def elements(self) -> tuple[Element, ...]:
        """The members as known last."""
        return self._elements

    @property
    def answered(self) -> Element | None:
        """Whose answer the last `run` returned."""
        return self._answered

    @property
    def suspects(self) -> list[Element]:
        now = self._clock()
        return [e for e in self._elements if self._suspect_until.get(e.endpoint, 0.0) > now]

    def resolve(self) -> tuple[Element, ...]:
        """Ask the members in turn for the member list until one answers. PoolError if none does."""
        failures: list[str] = []
        for element in self._candidates(self._elements):
            why = self._refresh(element)
            if why is None:
                return self._elements
            failures.append(why)
        raise PoolError(f"no member of the pool answers: {'; '.join(failures)}")

    def run(
        self,
        work: Callable[[Session], T],
        *,
        once: bool = False,
        confirm: Callable[[Session], T | None] | None = None,
    ) -> T:
        """What `work` returns at the first member that answers.

        With `once` it is not repeated after a silence. `confirm` is then asked at the next member
        whether it was done: a result, or None for "no", after which `work` is repeated.
        Refusals are answers: they are raised as they are (ManagerError)."""
        failures: list[str] = []
        tried: set[Endpoint] = set()
        failed: tuple[Element, str] | None = None
        uncertain: tuple[Element, str] | None = None
        order = self._chosen()
        while order and len(tried) < 2 * MEMBERS_MAX:
            element = order.pop(0)
            tried.add(element.endpoint)
            if failed is not None:
                why = self._refresh(element)
                if why is not None:
                    failures.append(why)
                    continue
                order = [e for e in self._candidates(self._elements) if e.endpoint not in tried]
            try:
                with _Closing(self._open(element)) as session:
                    if failed is not None and self._on_failover is not None:
                        self._on_failover(Failover(failed[0], element, failed[1], session))
                    found = None
                    if uncertain is not None and confirm is not None:
                        found = confirm(session)
                        uncertain = None
                    result = work(session) if found is None else found
                self._answered = element
                return result
            except ManagerError as error:
                if error.status not in (*_SILENT, *_NOTHING_DONE):
                    raise
                self._suspect(element)
                failures.append(str(error))
                failed = (element, str(error))
                if once and error.status in _SILENT:
                    uncertain = failed
                    if confirm is None:
                        raise UncertainError(*uncertain) from error
        if uncertain is not None:
            raise UncertainError(*uncertain)
        raise PoolError(f"no member of the pool could be used: {'; '.join(failures)}")

    def primary(self) -> Element:
        """The member to speak to, by policy: for who speaks to it by a protocol of its own, and
        not by `run`."""
        return self._chosen()[0]

    def next_after(self, failed: Element) -> Element:
        """The member to go to instead of one that does not answer, which is suspect from now on.
        PoolError where no other one answers."""
        self._suspect(failed)
        failures: list[str] = []
        for element in self._chosen():
            if element.endpoint == failed.endpoint:
                continue
            why = self._refresh(element)
            if why is None:
                listed = {one.endpoint: one for one in self._elements}
                return listed.get(element.endpoint, element)
            failures.append(why)
        raise PoolError(f"no other member of the pool answers: {'; '.join(failures)}")

    # ---

    def _chosen(self) -> list[Element]:
        """In the order of the policy; PoolError where the members are not known yet, and none of
        those that are named tells them."""
        if not self._resolved:
            self.resolve()
        if self._chooser.policy is Policy.LEAST_USED:
            self._measure()
        return self._candidates(self._chooser.order(self._elements, self._loads))

    def _candidates(self, order: Sequence[Element]) -> list[Element]:
        """Those that are suspect last, the longest ago first; and the members that the user named,
        should none of those that were listed be left."""
        now = self._clock()
        listed = {e.endpoint for e in order}
        named = [e for e in self._seeds if e.endpoint not in listed]
        good = [e for e in order if self._suspect_until.get(e.endpoint, 0.0) <= now]
        bad = [e for e in order if e not in good]
        bad.sort(key=lambda e: self._suspect_until[e.endpoint])
        return [*good, *bad, *named]

    def _suspect(self, element: Element) -> None:
        self._suspect_until[element.endpoint] = self._clock() + self._limits.suspect_s

    def _refresh(self, element: Element) -> str | None:
        """Take the member list from `element`; why not, where it does not give one."""
        try:
            with _Closing(self._open(element)) as session:
                found = _elements(session.table(MEMBER))
        except ManagerError as error:
            if error.status not in (*_SILENT, *_NOTHING_DONE):
                raise
            self._suspect(element)
            return str(error)
        if not found:
            self._suspect(element)
            return f"{element} lists no active member"
        self._suspect_until.pop(element.endpoint, None)
        self._elements = found
        self._resolved = True
        return None

    def _measure(self) -> None:
        """How much each member is used: DHCP messages a second since it was last asked."""
        if not self._use:
            self._sample()
            self._sleep(self._limits.sample_s)
        self._sample()

    def _sample(self) -> None:
        for element in self._candidates(self._elements):
            if element in self.suspects:
                continue
            try:
                with _Closing(self._open(element)) as session:
                    values = session.get(_USE)
            except ManagerError:
                self._suspect(element)
                self._loads.pop(element.endpoint, None)
                continue
            count = sum(value for value in values if isinstance(value, int))
            now = self._clock()
            at, before = self._use.get(element.endpoint, (now, count))
            if now > at:
                # A counter that went back belongs to a new store.
                self._loads[element.endpoint] = max(0, count - before) / (now - at)
            self._use[element.endpoint] = (now, count)


class _Closing:
    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Session:
        return self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


def _elements(rows: dict[Oid, Row]) -> tuple[Element, ...]:
    """The active members of a member table, by number."""
    found = []
    for index, row in sorted(rows.items()):
        address, port = row.get("Address"), row.get("Port")
        name, weight = row.get("Name", b""), row.get("Weight", 1)
        if row.get("State") != MemberState.ACTIVE:
            continue
        if isinstance(address, bytes) and isinstance(port, int) and isinstance(weight, int):
            text = name.decode("utf-8", "replace") if isinstance(name, bytes) else ""
            place = format_address(int.from_bytes(address, "big"))
            found.append(Element(place, port, index[0], text, weight))
    return tuple(found[:MEMBERS_MAX])
