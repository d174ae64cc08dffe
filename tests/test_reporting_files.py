"""The directory of a result (`backtest_engine.md` 17.5, `config_cli_suite.md` 16, `additions.md` 11)."""

from __future__ import annotations

import gzip
import json
import re
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import example_a
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import RunError
from reporting.files import post_process
from simulation.results import BacktestResult, CandleCube, backtest_result

CLOCK = ManualClock(date_to_ts("2024-05-01T10:20:30"))
NOTE = "Synthetic data: exchange sample"
CONFIG: dict[str, Any] = {
    "backtest": {"coins": {"sample": ["AAA"]}},
    "bot": {side: {"total_wallet_exposure_limit": 1.0, "_raw": 1} for side in ("long", "short")},
    "live": {"base_config_path": "x.json"},
    "_raw": {"secret": 1},
    "_transform_log": [],
}


def candles(rows: int = 130) -> CandleCube:
    close = 100.0 + np.sin(np.arange(rows))
    cube = np.stack([close + 1.0, close - 1.0, close, close], axis=1)[:, None, :]
    return CandleCube(cube, example_a.START_MS + 60_000 * np.arange(rows), ("AAA",))


def result(data_note: str | None = None) -> BacktestResult:
    analysis = {"gain_usd": 1.02, "adg_usd": 0.0, "omega_ratio_usd": None, "drawdown_worst_usd": 0.019}
    return backtest_result(example_a.fills(), example_a.EQUITIES, analysis, data_note=data_note)


def test_complete_directory(tmp_path: Path) -> None:
    """All files under their names, in a directory named after the time in UTC; nothing hidden is left."""
    folder = post_process(result(NOTE), CONFIG, tmp_path / "sample", "sample", clock=CLOCK, candles=candles())
    assert folder == tmp_path / "sample" / "2024-05-01T10_20_30"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "analysis.json", "balance_and_equity.csv.gz", "balance_and_equity.png", "balance_and_equity_logy.png",
        "config.json", "drawdown.png", "exposure.png", "fills.csv", "fills_plots/AAA.png",
    ]  # fmt: skip
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert all(p.read_bytes()[:4] == b"\x89PNG" for p in folder.rglob("*.png"))


def test_contents(tmp_path: Path) -> None:
    """Tables and documents in the specified forms."""
    folder = post_process(result(NOTE), CONFIG, tmp_path, "sample", clock=CLOCK)
    with gzip.open(folder / "balance_and_equity.csv.gz", "rt") as file:
        assert file.read() == example_a.BALANCE_AND_EQUITY_CSV
    header, first, *rest = (folder / "fills.csv").read_text().splitlines()
    assert header == (
        ",index,timestamp,coin,pnl,fee_paid,usd_total_balance,btc_cash_wallet,usd_cash_wallet,btc_price,qty,price,psize,"
        "pprice,type,wallet_exposure,twe_long,twe_short,twe_net,minute,btc_total_balance"
    )
    assert first.startswith(
        "0,22,2024-01-01 00:22:00,AAA,0.0,-0.02199001,1002.7280099899999,0.0125,499.97800999,40220.0,"
    )
    assert first.endswith(",22,0.024931079313525607")
    assert len(rest) == 22
    text = (folder / "analysis.json").read_text()
    analysis = json.loads(text)
    assert text == json.dumps(analysis, indent=4, sort_keys=True) + "\n"
    assert (analysis["data_note"], analysis["omega_ratio_usd"]) == (NOTE, None)
    assert analysis["loss_profit_ratio_long"] == 0.15831336553306127
    config = json.loads((folder / "config.json").read_text())
    assert list(config) == ["analysis", "backtest", "bot", "live"]
    assert config["analysis"] == analysis
    assert "_raw" not in config["bot"]["long"]


def test_same_second(tmp_path: Path) -> None:
    """Runs that end in the same second get a number; an existing directory is never touched."""
    (tmp_path / "2024-05-01T10_20_30").mkdir()
    folders = [post_process(result(), CONFIG, tmp_path, "sample", clock=CLOCK) for _ in range(2)]
    assert [folder.name for folder in folders] == ["2024-05-01T10_20_30_2", "2024-05-01T10_20_30_3"]


def test_without_fills(tmp_path: Path) -> None:
    """A run without fills or without any sample has all files, the fills table is a header."""
    for equities in (example_a.EQUITIES, None):
        empty = backtest_result(None, equities, {"gain_usd": None})
        folder = post_process(empty, CONFIG, tmp_path, "sample", clock=CLOCK, candles=candles())
        assert len((folder / "fills.csv").read_text().splitlines()) == 1
        assert (folder / "balance_and_equity.png").exists()
        assert not (folder / "fills_plots").exists()


def test_coin_plot_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A coin whose plot cannot be drawn is logged; the result is complete without it."""
    strangers = CandleCube(candles().hlcvs, candles().timestamps, ("BBB",))
    folder = post_process(result(), CONFIG, tmp_path, "sample", clock=CLOCK, candles=strangers)
    assert list((folder / "fills_plots").iterdir()) == []
    assert (folder / "analysis.json").exists()
    assert "fills plot of AAA failed" in caplog.text


def test_full_disk(tmp_path: Path) -> None:
    """A write that fails is one clear line, and nothing is left behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(RunError, match=re.escape(str(tmp_path))) as caught:
            post_process(result(), CONFIG, tmp_path / "sample", "sample", clock=CLOCK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert "backtest.base_dir" in str(caught.value)
    assert list((tmp_path / "sample").iterdir()) == []


def test_unusable_place(tmp_path: Path) -> None:
    """A result path below a file cannot be made; the message names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file/sample"):
        post_process(result(), CONFIG, tmp_path / "file" / "sample", "sample", clock=CLOCK)


def test_any_failure_leaves_nothing(tmp_path: Path) -> None:
    """Also a failure that is no write error (a number that is not JSON in the config) removes what was written."""
    broken = {**CONFIG, "live": {"x": float("nan")}}
    with pytest.raises(ValueError, match="JSON"):
        post_process(result(), broken, tmp_path, "sample", clock=CLOCK)
    assert list(tmp_path.iterdir()) == []
