"""The shipped notebooks run from top to bottom on a fresh clone, in a kernel of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from programs import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A working tree without results, caches or data."""
    shutil.copytree(
        REPOSITORY / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".*", "__pycache__")
    )
    for name in ("src", "configs"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    return tmp_path


def run(path: Path) -> Any:
    """The notebook with its outputs. Raises CellExecutionError with the traceback of the cell that failed."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}).execute()
    return notebook


def outputs(notebook: Any) -> str:
    cells = [cell["outputs"] for cell in notebook.cells if cell.cell_type == "code"]
    return json.dumps(cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(clone: Path, path: Path) -> None:
    """All cells, twice: with results made on the way, then with those; it says that the data are synthetic."""
    first = outputs(run(clone / "notebooks" / path.name))
    assert "synthetic data" in first
    assert first.count("image/png") >= 6
    made = sorted(p.name for p in (clone / "optimize_results").iterdir())
    assert len(made) == 1
    assert made[0] in outputs(run(clone / "notebooks" / path.name))
    assert sorted(p.name for p in (clone / "optimize_results").iterdir()) == made


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_has_no_outputs(path: Path) -> None:
    """Committed without outputs, so that a diff shows what was changed."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


def test_there_is_a_notebook() -> None:
    assert [path.name for path in NOTEBOOKS] == ["explore_results.ipynb"]
