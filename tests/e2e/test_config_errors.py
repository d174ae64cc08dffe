"""Every row of the table of errors, through the command line: status 2 and one line (`config_cli_suite.md` 21)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from programs import REPOSITORY, run_program

SAMPLE = json.loads((REPOSITORY / "configs" / "examples" / "sample.json").read_text())
QUIET = ["--offline", "--log-level", "0"]


def written(folder: Path, changes: dict[str, Any]) -> Path:
    """The sample config with values set at dotted paths; None removes a section."""
    config = copy.deepcopy(SAMPLE)
    for path, value in changes.items():
        *parents, last = path.split(".")
        node = config
        for name in parents:
            node = node.setdefault(name, {})
        node[last] = value
    target = folder / "my.json"
    target.write_text(json.dumps(config))
    return target


def error_line(folder: Path, *args: str | Path, expect: int = 2) -> str:
    """The one line that a failing backtest prints."""
    result = run_program("backtest.py", *args, *QUIET, cwd=folder, expect=expect)
    lines = [line for line in result.stderr.splitlines() if " WARNING " not in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert not list(folder.rglob("analysis.json"))
    return lines[0]


def limit(**fields: Any) -> dict[str, Any]:
    return {"optimize.limits": [{"metric": "adg", "penalize_if": "<", "value": 1, **fields}]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # shape
        ({"bot.short": None}, ["bot.short", "both are needed"]),
        ({"live": 3}, ["section 'live'", "3", "mapping"]),
        ({"backtest.coin_sources": ["BTC"]}, ["backtest.coin_sources", "['BTC']", "mapping (coin -> exchange)"]),
        ({"coin_overrides": {"BTC": 3}}, ["coin_overrides.BTC", "3", "mapping"]),
        ({"live.approved_coins": {"long": [], "both": []}}, ["live.approved_coins", "'both'", "long and short"]),
        ({"live.approved_coins": "lists/none.json"}, ["live.approved_coins", "lists/none.json", "check the path"]),
        ({"backtest.suite.scenarios": [3]}, ["backtest.suite.scenarios entry 1", "3", "mapping"]),
        # type
        ({"bot.long.n_positions": "many"}, ["bot.long.n_positions", "'many'", "must be a number"]),
        ({"bot.long.ema_span_0": None}, ["bot.long.ema_span_0", "None", "number (minutes)"]),
        ({"optimize.bounds": {"long_ema_span_0": []}}, ["malformed bound optimize.bounds.long_ema_span_0: []", "[v]"]),
        ({"backtest.start_date": "soon"}, ["backtest.start_date", "'soon'", "YYYY-MM-DD"]),
        ({"backtest.end_date": "1735689600"}, ["backtest.end_date", "'1735689600'", "YYYY-MM-DD"]),
        ({"backtest.starting_balance": 0}, ["backtest.starting_balance", "0", "above 0"]),
        ({"backtest.combine_ohlcvs": "yes"}, ["backtest.combine_ohlcvs", "'yes'", "true or false"]),
        ({"live.forced_mode_long": "go"}, ["live.forced_mode_long", "'go'", "graceful_stop"]),
        ({"optimize.enable_overrides": ["fast"]}, ["optimize.enable_overrides", "['fast']", "forward_tp_grid"]),
        # conflict
        ({"backtest.coin_sources": {"BTC": "okx", "BTCUSDT": "bybit"}},
         ["backtest.coin_sources", "BTC", "okx and bybit", "keep one"]),
        ({"backtest.start_date": "2025-03-01", "backtest.end_date": "2025-02-01"},
         ["backtest.end_date 2025-02-01", "backtest.start_date 2025-03-01"]),
        # limits
        (limit(penalize_if=None), ["limits entries must include 'penalize_if'.", "optimize.limits entry 1"]),
        (limit(penalize_if="foo"), ["Unsupported penalize_if value 'foo'.", "optimize.limits entry 1", "greater_than"]),
        (limit(value="x"), ["Limit for adg_usd requires a numeric 'value'.", "optimize.limits entry 1", "'x'"]),
        (limit(penalize_if="inside"), ["Limit for adg_usd requires a two-value 'range'.", "optimize.limits entry 1"]),
        (limit(stat="median"), ["Unsupported stat 'median' for limit on adg_usd.", "optimize.limits entry 1", "mean"]),
        (limit(metric=""), ["Limit entries must include a 'metric' field.", "optimize.limits entry 1"]),
        ({"optimize.limits": ["adg"]}, ["Each limit entry must be a dict, got str.", "limits entry 1 is 'adg'"]),
        ({"optimize.limits": 7}, ["Unsupported limits format: int", "optimize.limits is 7", "list of"]),
        ({"optimize.limits": "--adg"}, ["Invalid limits format for token: adg", "optimize.limits", "--metric number"]),
        ({"optimize.limits": {"adg": "x"}}, ["Limit 'adg' must have a numeric value.", "optimize.limits", "'x'"]),
    ],
)  # fmt: skip
def test_what_a_file_may_hold(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    """Wrong shapes, types, conflicts and limits: the line has path, value and remedy."""
    line = error_line(tmp_path, written(tmp_path, changes))
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize(
    ("content", "args", "words"),
    [
        (None, ["nowhere.json"], ["nowhere.json does not exist", "check the path"]),
        (None, ["."], ["cannot read .", "directory"]),
        (b'{"bot": ', ["x.json"], ["x.json is not HJSON", "line 1"]),
        (b'{"a": "\xe9"}', ["x.json"], ["x.json is not UTF-8"]),
        (b"[1, 2]", ["x.json"], ["unknown flavor", "x.json holds [1, 2]"]),
        (
            b'{"live": {}}',
            ["x.json"],
            ["format config: unknown flavor", "x.json needs the sections bot, live"],
        ),
        (None, ["--suite-config", "nowhere.json"], ["nowhere.json does not exist"]),
        (b'{"bot": {"long": {}, "short": {}}, "live": {}}', ["--suite-config", "x.json"], ["x.json", "backtest.suite"]),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes | None, args: list[str], words: list[str]) -> None:
    """Missing, unreadable, malformed files, and files of an unknown shape, are named."""
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    line = error_line(tmp_path, *args)
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--no-such-flag"], ["--no-such-flag", "--help"]),
        (["--start-date", "2024"], ["--start-date", "did you mean --backtest.start_date?"]),
        (["-sbb", "5"], ["-sbb", "did you mean -sb?"]),
        (["-sb", "much"], ["-sb", "'much' is not a number"]),
        (["-hm", "perhaps"], ["-hm", "'perhaps'", "yes/true/t/y/1"]),
        (["-s", "lists/none.json"], ["live.approved_coins", "lists/none.json"]),
        (["-lnp"], ["-lnp", "expected one argument"]),
        (["--backtest.s", "1"], ["--backtest.s", "ambiguous"]),
    ],
)
def test_arguments(tmp_path: Path, args: list[str], words: list[str]) -> None:
    """Unknown options, values of the wrong kind and missing ones are named, with the nearest known flag."""
    line = error_line(tmp_path, *args)
    assert [word for word in words if word not in line] == [], line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"live.approved_coins": ["NOPE"]}, ["NOPE"]),
        ({"backtest.exchanges": ["nowhere"]}, ["nowhere"]),
        ({"backtest.exchanges": ["here"], "backtest.coin_sources": {"BTC": "nowhere"}}, ["here"]),
    ],
)
def test_missing_data_is_status_one(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    """What no config can correct is a failure of data."""
    line = error_line(tmp_path, written(tmp_path, changes), expect=1)
    assert [word for word in words if word not in line] == [], line
