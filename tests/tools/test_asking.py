"""Orders that take something away are shown and asked about; a script says --yes."""

from __future__ import annotations

import io
import sys

import pytest
import typer

from agent.errors import ConfigError
from tools.asking import agree, confirm
from tools.errors import ToolError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal())


def test_a_script_says_yes(capsys: pytest.CaptureFixture[str]) -> None:
    assert confirm(yes=True)("what is done")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "what is done\n")


@pytest.mark.parametrize("stdin", [io.StringIO("y\n"), None], ids=["pipe", "closed"])
def test_without_a_terminal_it_is_yes_or_an_error(
    stdin: io.StringIO | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(ConfigError, match="--yes: is missing, and nobody answers; give it"):
        confirm(yes=False)("what is done")
    assert capsys.readouterr().err == "what is done\n"


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("wanted", [True, False])
def test_a_person_is_asked(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typer, "confirm", lambda _, err: err and wanted)
    assert confirm(yes=False)("what is done") is wanted


@pytest.mark.usefixtures("terminal")
def test_who_goes_away_has_not_agreed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(_: str, err: bool) -> bool:
        raise typer.Abort

    monkeypatch.setattr(typer, "confirm", nobody)
    with pytest.raises(ConfigError, match="--yes: is missing"):
        confirm(yes=False)("what is done")


def test_what_is_not_wanted_is_not_done() -> None:
    agree(lambda _: True, "words")
    with pytest.raises(ToolError, match="it was not wanted: nothing is done"):
        agree(lambda _: False, "words")
