"""Sizes that keep the code readable: files, functions, parameters, nesting."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
FILES = sorted([*SRC.rglob("*.py"), *(ROOT / "passivbot-rust" / "src").rglob("*.rs"), ROOT / "passivbot"])
FRONT_DOORS = [
    "backtest.py", "backtest_suite.py", "candlestick_manager.py", "config_utils.py", "fill_events_manager.py",
    "optimize.py", "pareto_store.py",
]  # fmt: skip
MORE_PARAMETERS = {"get_candles": "the interface of candles.md 4"}
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.AsyncFor, ast.AsyncWith)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> list[tuple[str, Function]]:
    return [
        (f"{path.relative_to(SRC)}:{node.lineno} {node.name}", node)
        for path in sorted(SRC.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function)
    ]


def code_lines(node: Function) -> int:
    """Lines of the body that hold code; the docstring does not count."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return sum(max(n.end_lineno or 0, n.lineno) - n.lineno + 1 for n in body)


def depth(node: ast.AST) -> int:
    inner = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
    is_elif = isinstance(node, ast.If) and getattr(node, "is_elif", False)
    return inner + (isinstance(node, BLOCKS) and not is_elif)


def mark_elifs(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            node.orelse[0].is_elif = True  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small(path: Path) -> None:
    """No file over 600 lines; the front doors stay under 200."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= (200 if path.name in FRONT_DOORS and path.parent == SRC else 600)


def test_functions_are_small() -> None:
    """Median at most 8 code lines, 95th percentile 40, none over 80."""
    sizes = sorted((code_lines(node), name) for name, node in functions())
    counts = [count for count, _ in sizes]
    assert statistics.median(counts) <= 8
    assert counts[int(0.95 * len(counts))] <= 40
    assert counts[-1] <= 80, sizes[-1]


def test_functions_are_flat_and_take_few_parameters() -> None:
    """At most 4 blocks inside each other, at most 7 parameters."""
    for name, node in functions():
        mark_elifs(node)
        assert depth(node) <= 4, name
        if node.name in MORE_PARAMETERS:
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        assert len([a for a in arguments if a.arg not in ("self", "cls")]) <= 7, name
