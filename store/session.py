"""One transaction on one cursor: what all parts of the transaction port stand on.

The parts (`store/bindings.py`, `streams.py`, `ownership.py`, `configuration.py`, `group.py`,
`local.py`) are mixins over `Session`; `store/transaction.py` puts them together. An error of the
driver makes the session fail for good: whatever the caller does, it will be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from sqlite3 import Cursor
from typing import Any, Concatenate, ParamSpec, TypeVar

from store.sqlite import DRIVER_ERRORS, store_error

Row = tuple[Any, ...]
Kept = dict[Any, Any]
"""What verbs have read, by their names and arguments."""
_S = TypeVar("_S", bound="Session")
_T = TypeVar("_T")
_P = ParamSpec("_P")


def read_once(verb: Callable[Concatenate[_S, _P], _T]) -> Callable[Concatenate[_S, _P], _T]:
    """A verb that reads a small table. Several parts ask for it in one transaction, in which it
    stays as it is until something is written. Nobody may change what it gives."""
    name = verb.__name__

    @wraps(verb)
    def remembered(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        assert not kwargs
        found, key = self._kept, (name, *args) if args else name
        if key not in found:
            found[key] = verb(self, *args, **kwargs)
        result: _T = found[key]
        return result

    return remembered


class Session:
    """Runs compiled statements. `place` names the store in errors; `kept` is what a transaction
    before it read, where nothing can have changed since."""

    def __init__(self, cursor: Cursor, place: str, kept: Kept, *, writing: bool) -> None:
        self._cursor: Cursor | None = cursor
        self._place = place
        self._writing = writing
        self._kept = kept
        self.failed = False

    def end(self) -> None:
        """Make this session useless; the transaction is over."""
        self._cursor = None

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        cursor = self._cursor
        assert cursor is not None, "this transaction is over"
        try:
            return cursor.execute(statement, parameters).fetchall()
        except DRIVER_ERRORS as error:
            self.failed = True
            raise store_error(self._place, error) from error

    def each_row(self, statement: str, parameters: Sequence[object] = ()) -> Iterable[Row]:
        """Rows one by one, so that the reader may stop early; no other statement may run before."""
        cursor = self._cursor
        assert cursor is not None, "this transaction is over"
        try:
            for row in cursor.execute(statement, parameters):  # noqa: UP028
                yield row  # `yield from` would close the cursor of a reader that stops early
        except DRIVER_ERRORS as error:
            self.failed = True
            raise store_error(self._place, error) from error

    def change(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement that writes; returns the number of rows that it touched."""
        cursor = self._writer()
        try:
            return cursor.execute(statement, parameters).rowcount
        except DRIVER_ERRORS as error:
            self.failed = True
            raise store_error(self._place, error) from error

    def change_many(self, statement: str, rows: Iterable[Sequence[object]]) -> int:
        """Run a statement for each of `rows`; returns the number of rows touched in all."""
        cursor = self._writer()
        try:
            return cursor.executemany(statement, rows).rowcount
        except DRIVER_ERRORS as error:
            self.failed = True
            raise store_error(self._place, error) from error

    def _writer(self) -> Cursor:
        cursor = self._cursor
        assert cursor is not None, "this transaction is over"
        assert self._writing, "a read transaction cannot write; use Store.write()"
        self._kept.clear()
        return cursor
