"""The directions of design: rules import no shell, shells no composition (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
VALUES = {"agent.model", "agent.addresses", "agent.names", "agent.kinds", "agent.errors",
          "agent.limits", "agent.port", "agent.health", "agent.events"}  # fmt: skip
IMPURE = {"socket", "asyncio", "sqlalchemy", "pysnmp", "time", "random", "os", "subprocess",
          "threading", "alembic", "select", "secrets", "sqlite3", "pyasn1"}  # fmt: skip
SNMP_RULES = ("ber", "oid", "view", "columns", "message", "usm", "keys", "statistics", "budget",
              "door", "generator", "reports")  # fmt: skip
PURE = [
    *sorted(ROOT.glob("agent/dhcp/*.py")),
    *sorted(ROOT.glob("agent/sync/*.py")),
    *sorted(ROOT.glob("agent/kinds/*.py")),
    *sorted(ROOT.glob("agent/events/*.py")),
    *sorted(ROOT.glob("agent/settings/*.py")),
    *(
        ROOT / "agent" / f"{name}.py"
        for name in (
            "addresses",
            "names",
            "cluster_events",
            "model",
            "errors",
            "limits",
            "port",
            "pulse",
            "health",
            "reasons",
            "former",
        )
    ),
    *(ROOT / "agent" / "snmp" / f"{name}.py" for name in SNMP_RULES),
]
SHELLS = [*sorted(ROOT.glob("agent/net/*.py")), *sorted(ROOT.glob("agent/snmp/*.py")),
          *sorted(ROOT.rglob("store/**/*.py"))]  # fmt: skip


def imports(path: Path) -> set[str]:
    """Every module that `path` imports, wherever in the file; `if TYPE_CHECKING` counts too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if (node.module, [alias.name for alias in node.names]) == ("random", ["Random"]):
                continue  # the type of a source that comes in from outside
            folder = ROOT.joinpath(*node.module.split("."))
            parts = [alias.name for alias in node.names if (folder / f"{alias.name}.py").exists()]
            found.update(f"{node.module}.{part}" for part in parts)
            if len(parts) < len(node.names):
                found.add(node.module)
    return found


def under(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(ROOT)))
def test_rules_are_pure(path: Path) -> None:
    allowed = {"agent.dhcp", "agent.sync", "agent.settings"} | VALUES
    if path.parent.name == "snmp":
        allowed |= {f"agent.snmp.{name}" for name in SNMP_RULES}
    for module in imports(path):
        assert not under(module, IMPURE), f"{path.name} is a rule and imports {module}"
        if under(module, {"agent", "store", "tools"}):
            assert under(module, allowed), f"{path.name} is a rule and imports {module}"


@pytest.mark.parametrize("path", SHELLS, ids=lambda p: str(p.relative_to(ROOT)))
def test_shells_do_not_reach_up(path: Path) -> None:
    for module in imports(path):
        assert not under(module, {"tools", "agent.serve"}), f"{path} imports {module}"
        if path.parts[len(ROOT.parts)] == "store":
            assert not under(module, {"agent.dhcp", "agent.sync", "agent.snmp", "agent.net"})
        if path.parent.name == "net":
            assert not under(module, {"store", "agent.snmp"})
