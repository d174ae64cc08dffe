"""Coin lists in all their forms (`config_cli_suite.md` 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from config.cli import update_config_with_args
from config.coins import coins_of, finalize_coin_lists, is_empty_source, read_coin_file, remove_ignored, sides_of
from config.load import load_config
from config.normalize import format_config
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError

CLOCK = ManualClock(date_to_ts("2026-11-21"))


def sides(long: list[str], short: list[str] | None = None) -> dict[str, list[str]]:
    return {"long": long, "short": long if short is None else short}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "a.json").write_text('["BTC", "ETH"] // comment')
    (tmp_path / "b.json").write_text(json.dumps({"long": ["BTC"], "short": ["ETH", "XRP"]}))
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("BTC, ETH,", sides(["BTC", "ETH"])),
        (["BTC,ETH", "XRP"], sides(["BTC", "ETH", "XRP"])),
        (["BTC", ["ETH", ("XRP", None)], "BTC", ""], sides(["BTC", "ETH", "XRP", "BTC"])),
        ({"long": "BTC", "short": ["ETH, XRP"]}, sides(["BTC"], ["ETH", "XRP"])),
        ({"long": ["BTC"]}, sides(["BTC"], [])),
        ([1, "BTC"], sides(["1", "BTC"])),
        (None, sides([])),
        ("", sides([])),
        ([], sides([])),
        ([""], sides([])),
        (",".join(["ABCDEFGH"] * 500), sides(["ABCDEFGH"] * 500)),
    ],
)
def test_lists(source: Any, expected: dict[str, list[str]]) -> None:
    """Texts are split, lists flattened, blanks dropped; order and duplicates are kept."""
    assert sides_of(source, "live.approved_coins") == expected


def test_files(files: Path) -> None:
    """A path, alone or as the only entry of a list, stands for the file's content; a side takes its own side of it."""
    a, b = str(files / "a.json"), str(files / "b.json")
    assert sides_of(a, "x") == sides(["BTC", "ETH"])
    assert sides_of([a], "x") == sides(["BTC", "ETH"])
    assert sides_of(b, "x") == sides(["BTC"], ["ETH", "XRP"])
    assert sides_of({"long": a, "short": "XRP"}, "x") == sides(["BTC", "ETH"], ["XRP"])
    assert sides_of({"long": [b], "short": b}, "x") == sides(["BTC"], ["ETH", "XRP"])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("lists/nowhere.json", "lists/nowhere.json"),
        ({"long": "c:\\nowhere.txt", "short": []}, "nowhere.txt"),
        (["a.json", "BTC"], "a.json"),
        ({"long": [], "short": [], "both": []}, "'both'"),
        ({"long": {"short": []}, "short": []}, r"live\.approved_coins\.long"),
        ([{"a": 1}, "BTC"], "mappings"),
    ],
)
def test_malformed_sources(source: Any, message: str) -> None:
    """Missing files and strange mappings are errors, never coin names (F5)."""
    with pytest.raises(ConfigError, match=message):
        sides_of(source, "live.approved_coins")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["BTC", "ETH"]', ["BTC", "ETH"]),
        ("[BTC, 'ETH']", ["BTC", "ETH"]),
        ('"BTC"\n\n"ETH"\n', ["BTC", "ETH"]),
        ("BTC ETH\nXRP, ADA\n", ["BTC", "ETH", "XRP", "ADA"]),
        ("BTC", ["BTC"]),
        ("", []),
        ('{"long": ["BTC"], "short": []}', {"long": ["BTC"], "short": []}),
        ("{long: [BTC\n]\nshort: []}", {"long": ["BTC"], "short": []}),
    ],
)
def test_coin_files(tmp_path: Path, text: str, expected: Any) -> None:
    """HJSON first, then plain text, whatever the extension."""
    (tmp_path / "coins.txt").write_text(text)
    assert read_coin_file(tmp_path / "coins.txt", "x") == expected


@pytest.mark.parametrize("text", ['{"long": ["BTC"]}', '{"long": [], "short": [], "note": 1}', "{broken", '{"a": 1}'])
def test_malformed_coin_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "coins.json").write_text(text)
    with pytest.raises(ConfigError, match=r"live\.ignored_coins.*coins\.json"):
        sides_of(str(tmp_path / "coins.json"), "live.ignored_coins")


def test_older_name_of_the_shipped_list(caplog: pytest.LogCaptureFixture) -> None:
    """The list's former name means the shipped list."""
    shipped = sides_of("configs/approved_coins.json", "x")
    assert shipped["long"][:2] == ["BTC", "ETH"]
    assert sides_of("somewhere/approved_coins_topmcap.txt", "x") == shipped
    assert "approved_coins.json is used" in caplog.text


@pytest.mark.parametrize(
    ("source", "empty"),
    [
        ([], True), ([""], True), (None, True), ("", True), (0, True), (False, False), (["BTC"], False),
        (sides([]), True), ({"long": "", "short": ""}, True), (sides([""]), True), (sides([], ["BTC"]), False),
    ],
)  # fmt: skip
def test_empty_sources(source: Any, empty: bool) -> None:
    assert is_empty_source(source) is empty


def test_names_become_coins_and_ignored_ones_go() -> None:
    """Per side: mapped, without repetitions and empty names; approved minus ignored (E1)."""
    assert coins_of(sides(["BTCUSDT", "BTC", "USDT"], ["1000SHIB"]))["long"] == ["BTC"]  # type: ignore[arg-type]
    left = remove_ignored(sides(["BTC", "ETH"]), sides(["ETH"], ["BTC"]))  # type: ignore[arg-type]
    assert left == sides(["BTC"], ["ETH"])


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        ({"approved_coins": [], "empty_means_all_approved": True, "ignored_coins": "ETH"}, sides(["ADA", "BTC"])),
        ({"approved_coins": [], "empty_means_all_approved": False}, sides([])),
        ({"approved_coins": sides(["BTC"], []), "empty_means_all_approved": True}, sides(["BTC"], [])),
        ({"approved_coins": "BTC/USDT:USDT,ETH", "ignored_coins": {"long": "ETHUSDT"}}, sides(["BTC"], ["BTC", "ETH"])),
    ],
)
def test_final_lists(live: dict[str, Any], expected: dict[str, list[str]]) -> None:
    """Names are mapped before ignored coins are taken away; an empty source may mean every eligible coin (9.3)."""
    config = format_config({"bot": {"long": {}, "short": {}}, "live": live}, clock=CLOCK)
    final = finalize_coin_lists(config, eligible=lambda: ["ETH", "BTC", "ADA"], clock=CLOCK)
    assert final["live"]["approved_coins"] == expected
    assert final["_transform_log"][-1]["step"] == "format_approved_ignored_coins"
    again = finalize_coin_lists(final, eligible=lambda: ["ETH", "BTC", "ADA"], clock=CLOCK)
    assert again["live"] == final["live"]


def test_ignored_coins_of_the_command_line(shared: Path) -> None:
    """05 with `-i BTC,ETH` trades the other three (23, decision E1)."""
    config = load_config(shared / "reference_configs" / "05_forager_5_coins_unstuck.json", clock=CLOCK)
    merged = format_config(update_config_with_args(config, {"live.ignored_coins": ["BTC", "ETH"]}, CLOCK), clock=CLOCK)
    final = finalize_coin_lists(merged, eligible=list, clock=CLOCK)
    assert final["live"]["approved_coins"] == sides(["ADA", "DOGE", "SOL"], [])
    assert final["live"]["ignored_coins"] == sides(["BTC", "ETH"])
