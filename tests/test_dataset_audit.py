"""Checking and comparing prepared datasets (`candles.md` 21.1), through the program."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import run_program
from verify_hlcvs_data import main

from core.clock import MINUTE_MS as M
from core.clock import ManualClock
from core.dates import date_to_ts
from core.program import run_program as in_process
from simulation.dataset_cache import DatasetContent, save

START = date_to_ts("2024-01-01")
ROWS = 300


def content(rows: int = ROWS) -> DatasetContent:
    cube = np.arange(rows * 8, dtype=np.float64).reshape(rows, 2, 4)
    cube[:100, 1] = np.nan
    return DatasetContent(("BTC", "ETH"), {}, cube, START + M * np.arange(rows), np.full(rows, 5.0))


class Datasets:
    """Datasets below a working directory, and the program started in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder / "caches" / "hlcvs_data", capsys

    def add(self, name: str, *, compress: bool = False, data: DatasetContent | None = None) -> Path:
        path = self.folder / name
        save(path, data or content(), compress=compress, fingerprints={}, details={}, clock=ManualClock(0))
        return path

    def run(self, *args: Any) -> tuple[int, str]:
        status = in_process(main, [str(arg) for arg in args])
        out, err = self.capsys.readouterr()
        return status, out + err


@pytest.fixture
def datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Datasets:
    monkeypatch.chdir(tmp_path)
    return Datasets(tmp_path, capsys)


def test_summary(datasets: Datasets) -> None:
    """Rows, coins, missing numbers, span and hashes; without arguments all datasets below the cache."""
    path = datasets.add("abc")
    status, output = datasets.run()
    assert status == 0
    names, cells = (line.split("\t") for line in output.splitlines())
    found = dict(zip(names, cells, strict=True))
    digest = hashlib.sha256((path / "hlcvs.npy").read_bytes()).hexdigest()
    assert found["hlcvs_sha256"] == digest[:16]
    assert {name: found[name] for name in ("path", "rows", "coins", "nan", "first", "last", "ordered")} == {
        "path": "caches/hlcvs_data/abc", "rows": "300", "coins": "2", "nan": "400", "first": "2024-01-01T00:00:00",
        "last": "2024-01-01T04:59:00", "ordered": "True",
    }  # fmt: skip
    (entry,) = json.loads(datasets.run("summarize", path, "--json")[1])
    assert entry["hlcvs_sha256"] == digest
    assert list(entry) == sorted(entry)


def test_packing_does_not_count(datasets: Datasets) -> None:
    """A compressed dataset is the same as a plain one."""
    datasets.add("plain")
    datasets.add("packed", compress=True)
    assert datasets.run("compare", datasets.folder / "plain", datasets.folder / "packed") == (0, "identical\n")


def test_fast_takes_hashes_only(datasets: Datasets) -> None:
    """No other field is told."""
    datasets.add("abc")
    header = datasets.run("--fast")[1].splitlines()[0]
    assert header.split("\t") == ["path", "hlcvs_sha256", "timestamps_sha256", "btc_usd_prices_sha256"]


def test_differences(datasets: Datasets) -> None:
    """Each field that differs is listed; the status tells."""
    a = datasets.add("a")
    b = datasets.add("b", data=content(ROWS - 1))
    status, output = datasets.run("compare", a, b)
    assert status == 1
    assert "rows: 300 != 299\n" in output
    assert "last: 2024-01-01T04:59:00 != 2024-01-01T04:58:00\n" in output
    assert "coins" not in output
    assert "rows" not in datasets.run("compare", a, b, "--fast")[1]
    assert datasets.run("compare", a, datasets.folder)[0] == 2


def saved(name: str, array: Any) -> Callable[[Path], Any]:
    return lambda path: np.save(path / f"{name}.npy", array)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (saved("timestamps", START + M * np.arange(ROWS - 1)), "rows differ: hlcvs 300, timestamps 299"),
        (saved("timestamps", START - M * np.arange(ROWS)), "timestamps do not ascend"),
        (saved("btc_usd_prices", np.full(ROWS, np.nan)), "btc_usd_prices has 300 NaN"),
        (saved("hlcvs", np.zeros((ROWS, 3, 4))), "hlcvs has 3 coins, coins.json lists 2"),
        (saved("hlcvs", np.zeros((ROWS, 4))), "hlcvs has shape (300, 4)"),
        (lambda path: (path / "timestamps.npy").unlink(), "timestamps is missing"),
        (lambda path: (path / "coins.json").unlink(), "coins.json is missing"),
        (lambda path: (path / "coins.json").write_text("5"), "coins.json is no list"),
        (lambda path: (path / "hlcvs.npy").write_bytes(b"nonsense"), "hlcvs.npy cannot be read"),
        (
            lambda path: (path / "hlcvs.npy").write_bytes((path / "hlcvs.npy").read_bytes()[:-9]),
            "hlcvs.npy cannot be read",
        ),
    ],
)
def test_what_is_bad(datasets: Datasets, spoil: Callable[[Path], Any], text: str) -> None:
    """It is named, and the status is 1."""
    spoil(datasets.add("abc"))
    status, output = datasets.run()
    assert status == 1
    assert f"BAD caches/hlcvs_data/abc: {text}" in output
    assert datasets.run("compare", datasets.folder / "abc", datasets.folder / "abc")[0] == 1


def test_a_damaged_compressed_file(datasets: Datasets) -> None:
    """A file that was cut off is named once."""
    path = datasets.add("abc", compress=True) / "hlcvs.npy.gz"
    path.write_bytes(gzip.compress(b"x" * 1000)[:-4])
    status, output = datasets.run()
    assert (status, output.count("hlcvs.npy.gz cannot be read")) == (1, 1)


def test_the_program(tmp_path: Path) -> None:
    """It starts from the command line; nothing there is fine, a wrong path is not."""
    tool = "tools/verify_hlcvs_data.py"
    assert run_program(tool, cwd=tmp_path).stdout == "nothing found\n"
    assert "is no directory" in run_program(tool, "nowhere", cwd=tmp_path, expect=2).stderr
    run_program(tool, "summarize", "--nonsense", cwd=tmp_path, expect=2)
