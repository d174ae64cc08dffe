"""Who may import whom, in Python and in the crate; no cycles; `__init__.py` files are empty."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
CRATE_SRC = ROOT / "passivbot-rust" / "src"

LAYERS = {
    "core": 0,
    "markets": 1,
    "config": 2,
    "config_utils": 2,
    "candles": 3,
    "candlestick_manager": 3,
    "exchanges": 3,
    "simulation": 4,
    "live": 4,
    "passivbot": 4,
    "fill_events_manager": 4,
    "exchange_sim": 4,
    "optimization": 5,
    "reporting": 5,
    "benchmarks": 6,
    "runs": 6,
    "dashboards": 7,
    "pareto_store": 7,
    "backtest": 7,
    "optimize": 7,
    "main": 7,
    "tools": 8,
    "backtest_suite": 8,
}
"""Layer of each package or front door; imports go to a lower layer, or stay within the package and its front door."""

FRONT_DOORS = {
    "config_utils": "config",
    "candlestick_manager": "candles",
    "fill_events_manager": "live",
    "passivbot": "live",
}
NOT_EACH_OTHER = [{"candles", "exchanges"}, {"simulation", "live", "exchange_sim"}, {"optimization", "reporting"}]
HIGHER_MAY_SEE = {"optimization": {"simulation"}, "reporting": {"simulation"}}

CRATE_LAYERS = [
    {"num", "errors", "logarithm"},
    {"types"},
    {"limits", "side"},
    {"trailing"},
    {"entries", "closes", "risk", "coin_selection", "analysis"},
    {"orchestrator"},
    {"backtest"},
    {"batch"},
    {"python"},
]


def modules() -> list[Path]:
    return sorted(path for path in SRC.rglob("*.py") if path.name != "__init__.py")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts)


def imports_of(path: Path) -> set[str]:
    """Own modules that a file imports anywhere, as far as they can be read from the text."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] in LAYERS}


def package_of(name: str) -> str:
    top = name.split(".")[0]
    return FRONT_DOORS.get(top, top)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down(path: Path) -> None:
    """A module imports from lower layers or its own package, never from a front door of its own package."""
    name = name_of(path)
    top, package = name.split(".")[0], package_of(name)
    for imported in imports_of(path):
        other_top, other = imported.split(".")[0], package_of(imported)
        if other == package:
            assert other_top not in FRONT_DOORS or top == other_top, f"{name} imports its own front door {imported}"
            continue
        assert LAYERS[other] < LAYERS[package], f"{name} (layer {LAYERS[package]}) imports {imported}"
        assert not any({package, other} <= group for group in NOT_EACH_OTHER), (
            f"{name} imports its neighbour {imported}"
        )


def test_every_package_has_a_layer() -> None:
    """A new package or program is entered in the table above."""
    tops = {name_of(path).split(".")[0] for path in modules()}
    assert tops <= set(LAYERS), f"without a layer: {sorted(tops - set(LAYERS))}"


def test_no_import_cycles() -> None:
    """No module imports itself through others (imports for type checking included)."""
    known = {name_of(path): path for path in modules()}

    def own(name: str) -> set[str]:
        found = set()
        for imported in imports_of(known[name]):
            found |= {imported, imported.rpartition(".")[0]} & set(known)
        return found - {name}

    graph = {name: own(name) for name in known}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_init_files_are_empty() -> None:
    """A package has no code of its own."""
    assert [str(p) for p in SRC.rglob("__init__.py") if p.read_text().strip()] == []


def rust_files() -> list[Path]:
    return sorted(CRATE_SRC.rglob("*.rs"))


def rust_top(path: Path) -> str:
    return path.relative_to(CRATE_SRC).parts[0].removesuffix(".rs")


@pytest.mark.parametrize("path", rust_files(), ids=lambda p: str(p.relative_to(CRATE_SRC)))
def test_crate_imports_point_down(path: Path) -> None:
    """A module of the crate uses lower ones only; closes borrow the ladder length; PyO3 is the boundary's."""
    top = rust_top(path)
    text = path.read_text(encoding="utf-8")
    if top != "python":
        assert not re.search(r"\bpyo3\b|\bnumpy::", text)
    if top == "lib":
        return
    level = next(i for i, group in enumerate(CRATE_LAYERS) if top in group)
    own_lines = text.split("#[cfg(test)]")[0]
    for other in set(re.findall(r"crate::(\w+)", own_lines)) - {top, "for_side"}:
        if (top, other) == ("closes", "entries"):
            continue
        other_level = next(i for i, group in enumerate(CRATE_LAYERS) if other in group)
        assert other_level < level, f"{top} uses {other}"


def test_formulas_do_not_name_a_side() -> None:
    """The words Long and Short stand where sides are made or walked, in no formula."""
    formula_files = [
        "entries.rs",
        "closes.rs",
        "trailing.rs",
        "limits.rs",
        *(f"risk/{n}.rs" for n in ("enforcers", "gate", "trim", "unstuck")),
    ]
    for name in formula_files:
        text = (CRATE_SRC / name).read_text(encoding="utf-8").split("#[cfg(test)]")[0]
        code = re.sub(r"//.*", "", text)
        assert not re.search(r"\b(Long|Short)\b", code), name
