from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store, create_store

ENGINE_ID = b"\x80\x00\x7e\xd9\x05member-1"


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    store = create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID)
    yield store
    store.close()


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        store = Store.in_memory(member=1, engine_id=ENGINE_ID)
    else:
        store = create_store(tmp_path / "store.db", member=1, engine_id=ENGINE_ID)
    yield store
    store.close()
