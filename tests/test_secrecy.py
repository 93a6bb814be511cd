"""Files with keys in them are their owner's: mended with a word, or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.errors import ConfigError, StoreError
from agent.secrecy import withdraw_rights
from store import create_store, open_store
from tools.credentials import load_credentials, make_credentials, write_credentials


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o602, 0o666])
def test_a_store_that_others_may_read_is_mended_with_a_word(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "store.db"
    store = create_store(path, member=1, engine_id=b"\x80\0\0\0\x05abc")
    log = tmp_path / "store.db-wal"
    path.chmod(mode)
    log.chmod(mode)
    open_store(path).close()
    store.close()
    assert mode_of(path) == 0o600
    assert f"{path} had mode {mode:04o} and has 0600 now" in caplog.text
    assert f"{log} had mode {mode:04o}" in caplog.text


def test_a_store_of_the_right_mode_is_not_spoken_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    create_store(tmp_path / "store.db", member=1, engine_id=b"\x80\0\0\0\x05abc").close()
    open_store(tmp_path / "store.db").close()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("mode", "mended"), [(0o644, 0o640), (0o666, 0o640), (0o660, 0o640), (0o604, 0o600)]
)
def test_a_file_of_passphrases_is_mended_with_a_word(
    mode: int, mended: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "credentials.env"
    write_credentials(path, make_credentials())
    path.chmod(mode)
    assert set(load_credentials(path)) == {"operator", "monitor", "peer"}
    assert mode_of(path) == mended
    assert f"{path} had mode {mode:04o} and has {mended:04o} now" in caplog.text


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_team_may_read_the_passphrases_as_a_group(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "credentials.env"
    write_credentials(path, make_credentials())
    path.chmod(mode)
    load_credentials(path)
    assert mode_of(path) == mode
    assert caplog.text == ""


def test_what_is_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    users, path = tmp_path / "credentials.env", tmp_path / "store.db"
    write_credentials(users, make_credentials())
    create_store(path, member=1, engine_id=b"\x80\0\0\0\x05abc").close()
    users.chmod(0o644)
    path.chmod(0o644)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(ConfigError, match=r"credentials\.env.*chmod 600"):
        load_credentials(users)
    with pytest.raises(StoreError, match=r"store\.db: others may read.*chmod 600"):
        open_store(path)


def test_passphrases_may_come_through_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o666)
    pipe.chmod(0o666)
    assert withdraw_rights(pipe, 0o600) == ""
    assert mode_of(pipe) == 0o666
