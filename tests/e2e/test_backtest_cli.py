"""The backtester from the command line, as a user starts it: results on `sample`, one clear line for every mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from programs import REPOSITORY, only_result, run_program

SHORT = ["-s", "BTC,ETH", "-sd", "2025-01-10", "-ed", "2025-01-13"]
SAMPLE = REPOSITORY / "configs" / "examples" / "sample.json"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose candle cache the tests of this module share."""
    return tmp_path_factory.mktemp("place")


def backtest(cwd: Path, *args: str | Path, expect: int = 0) -> Any:
    return run_program("backtest.py", *args, cwd=cwd, expect=expect)


def test_sample_example_gives_everything(tmp_path: Path) -> None:
    """The shipped example: hundreds of fills, all files, profit and drawdowns, every kind of risk rule at work."""
    result = backtest(tmp_path, SAMPLE)
    folder = only_result(tmp_path / "backtests" / "sample")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d", folder.name)
    fills = pd.read_csv(folder / "fills.csv", index_col=0)
    coins = set(fills["coin"])
    assert {path.name for path in folder.iterdir()} == {
        "analysis.json", "config.json", "fills.csv", "balance_and_equity.csv.gz", "balance_and_equity.png",
        "balance_and_equity_logy.png", "drawdown.png", "exposure.png", "fills_plots",
    }  # fmt: skip
    assert {path.stem for path in (folder / "fills_plots").iterdir()} == coins
    assert len(fills) > 500
    kinds = set(fills["type"])
    for word in ("entry_grid", "entry_trailing", "close_grid", "close_trailing", "unstuck", "auto_reduce"):
        for side in ("long", "short"):
            assert any(word in kind and kind.endswith(side) for kind in kinds) or word == "unstuck", (word, side)
    analysis = json.loads((folder / "analysis.json").read_text())
    assert analysis["gain_usd"] > 1
    assert analysis["drawdown_worst_usd"] > 0.05
    assert "synthetic" in analysis["data_note"]
    assert "synthetic" in result.stdout
    assert "synthetic" in result.stderr
    assert "Backtesting " in result.stderr
    assert "seconds elapsed for backtest:" in result.stderr
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    equity = pd.read_csv(folder / "balance_and_equity.csv.gz", index_col=0)
    assert list(equity.columns) == [
        f"{c}_{k}" for c in ("usd", "btc") for k in ("cash_wallet", "total_balance", "total_equity")
    ]


def test_second_run_is_the_same_and_reuses_the_dataset(place: Path) -> None:
    """Equal fills each time, then from the dataset cache; the saved config runs; -dp leaves coin plots out."""
    command = [SAMPLE, *SHORT, "-dp", "--backtest.base_dir"]
    first = backtest(place, *command, "first")
    assert "reused" not in first.stderr
    assert "reused" in backtest(place, *command, "second").stderr
    saved = only_result(place / "first") / "config.json"
    backtest(place, saved, "-dp", "--offline", "--backtest.base_dir", "third")
    folders = [only_result(place / name) for name in ("first", "second", "third")]
    fills = [(folder / "fills.csv").read_bytes() for folder in folders]
    assert fills[0] == fills[1] == fills[2]
    assert fills[0].count(b"\n") > 5
    assert not any((folder / "fills_plots").exists() for folder in folders)


def test_config_of_another_program_runs_unchanged(place: Path) -> None:
    """What a web interface writes is run as it is, its own section is written back, and its log words appear."""
    config = json.loads((REPOSITORY / "configs" / "template.json").read_text()) | {"pbgui": {"version": 12}}
    config["backtest"] |= {
        "base_dir": "backtests/pbgui/a", "coin_sources": {}, "exchanges": ["sample"],
        "start_date": "2025-01-10", "end_date": "2025-01-13",
    }  # fmt: skip
    config["live"] |= {"approved_coins": {"long": ["BTC"], "short": []}, "minimum_coin_age_days": 0}
    config["live"]["warmup_ratio"] = 0.01
    config["optimize"]["compress_results_file"] = True
    (place / "config_run.json").write_text(json.dumps(config))
    result = backtest(place, "config_run.json", "-dp")
    saved = json.loads((only_result(place / "backtests" / "pbgui") / "config.json").read_text())
    assert saved["pbgui"] == {"version": 12}
    assert "unknown key" not in result.stderr
    assert "Backtesting " in result.stderr
    assert "seconds elapsed for backtest:" in result.stderr


def test_warnings_only_at_level_zero(place: Path) -> None:
    """--debug-level 0 leaves warnings alone on the log; 2 shows debug lines."""
    quiet = backtest(place, SAMPLE, *SHORT, "-dp", "--debug-level", "0")
    assert " INFO " not in quiet.stderr
    loud = backtest(place, SAMPLE, *SHORT, "-dp", "-v")
    assert " INFO " in loud.stderr


@pytest.mark.parametrize("name", sorted(path.name for path in (REPOSITORY / "configs" / "examples").glob("*.json")))
def test_every_example_runs_offline(place: Path, name: str) -> None:
    """Each shipped example backtests on the sample market."""
    config = json.loads((REPOSITORY / "configs" / "examples" / name).read_text())
    assert config["backtest"]["exchanges"] == ["sample"]
    start = config["backtest"]["start_date"]
    end = str(pd.Timestamp(start) + pd.Timedelta(days=5))[:10]
    base = f"out_{Path(name).stem}"
    args = ["-ed", end, "-dp", "--suite", "n", "--offline", "--backtest.base_dir", base]
    backtest(place, REPOSITORY / "configs" / "examples" / name, *args)
    assert (only_result(place / base) / "fills.csv").exists()


def edited(tmp_path: Path, **changes: Any) -> Path:
    """The sample config with dotted paths replaced."""
    config = json.loads(SAMPLE.read_text())
    for path, value in changes.items():
        *parents, last = path.split("__")
        node = config
        for key in parents:
            node = node[key]
        node[last] = value
    target = tmp_path / "edited.json"
    target.write_text(json.dumps(config))
    return target


@pytest.mark.parametrize(
    ("changes", "args", "status", "text"),
    [
        ({"bot__long__n_positions": "many"}, [], 2, r"bot\.long\.n_positions"),
        ({"bot__long__ema_span_0": None}, [], 2, r"bot\.long\.ema_span_0"),
        ({"backtest__start_date": "soon"}, [], 2, r"start_date.*soon"),
        ({"backtest__start_date": "2025-02-01", "backtest__end_date": "2025-01-01"}, [], (1, 2), r"2025-0[12]-01"),
        ({"live__approved_coins": ["NOPE"]}, [], 1, "NOPE"),
        ({"backtest__exchanges": ["nowhere"]}, ["--offline"], 1, "nowhere"),
        ({"backtest__exchanges": ["sample", "binance"]}, [], (1, 2), "sample"),
        ({"live__forced_mode_long": "go"}, [], 2, "go"),
        ({}, ["--suite"], 2, "suite"),
        ({}, ["--no-such-flag"], 2, "no-such-flag"),
        ({}, ["-hm", "perhaps"], 2, "perhaps"),
    ],
)
def test_mistakes_end_with_one_line(
    tmp_path: Path, changes: dict[str, Any], args: list[str], status: int | tuple[int, ...], text: str
) -> None:
    """Status 2 for what the user can correct, 1 for data; the last line names the key or value; no traceback."""
    allowed = status if isinstance(status, tuple) else (status,)
    config = edited(tmp_path, **changes)
    result = None
    for code in allowed:
        try:
            result = backtest(tmp_path, config, *args, expect=code)
        except AssertionError:
            if code == allowed[-1]:
                raise
        else:
            break
    assert result is not None
    assert "Traceback" not in result.stderr
    assert re.search(text, result.stderr.strip().splitlines()[-1]), result.stderr
    assert not list(tmp_path.rglob("analysis.json"))


def test_missing_and_malformed_files(tmp_path: Path) -> None:
    """A config that is not there, or is no JSON, is named with its path."""
    result = backtest(tmp_path, "absent.json", expect=2)
    assert "absent.json" in result.stderr
    (tmp_path / "broken.json").write_text('{"bot": ')
    result = backtest(tmp_path, "broken.json", expect=2)
    assert "broken.json" in result.stderr
    assert "Traceback" not in result.stderr


def test_traceback_from_debug_level_two(tmp_path: Path) -> None:
    """Whoever asks for debug output gets the traceback too."""
    result = backtest(tmp_path, edited(tmp_path, live__approved_coins=["NOPE"]), "--debug-level", "2", expect=1)
    assert "Traceback" in result.stderr


def test_nan_and_negative_prices_are_refused_at_import(tmp_path: Path) -> None:
    """A file with too many bad rows is not imported; the message names file, row and value."""
    ts = pd.date_range("2024-01-01", periods=200, freq="min")
    frame = pd.DataFrame({"time": ts, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0})
    frame.loc[5:9, "close"] = -1.0
    frame.to_csv(tmp_path / "BTC.csv", index=False)
    settings = {"coins": {"BTC": {"price_step": 0.1, "qty_step": 0.001, "maker_fee": 0.0, "taker_fee": 0.0}}}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    command = ["BTC.csv", "--exchange", "local", "--market-settings", "settings.json"]
    result = run_program("tools/import_candles.py", *command, cwd=tmp_path, expect=1)
    assert "BTC.csv" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert not list(tmp_path.rglob("*.parquet"))
