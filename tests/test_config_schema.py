"""The schema against the specification's tables, the shipped files, and itself (`config_cli_suite.md` 4-7)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from config.check import check_value, odd_values
from config.doc import documented_tables
from config.key import Kind
from config.load import load_config
from config.normalize import format_config
from config.overrides import resolve_coin_overrides
from config.programs import MAIN
from config.schema import BY_PATH, KEYS, SECTIONS, defaults, known_tree
from config.schema_bot import BOT_KEYS, OVERRIDABLE_BOT_KEYS
from config.settings import backtest_settings, offline_wanted
from core.clock import ManualClock
from core.dates import date_to_ts
from simulation.request import dataset_requests

ROOT = Path(__file__).parents[1]
CLOCK = ManualClock(date_to_ts("2026-11-21"))
EXAMPLES = sorted((ROOT / "configs" / "examples").glob("*.json"))


def rows_of(text: str, start: str, end: str) -> list[list[str]]:
    """Cells of the tables between two headings, the first cell without back-ticks."""
    part = text.split(start)[1].split(end)[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| `")
    ]
    return [[row[0].strip("`"), *row[1:]] for row in rows]


@pytest.fixture
def spec(shared: Path) -> str:
    return (shared / "spec" / "config_cli_suite.md").read_text()


def test_keys_are_unique_and_in_order() -> None:
    assert len(BY_PATH) == len(KEYS)
    assert list(dict.fromkeys(key.section for key in KEYS)) == [
        "backtest", "bot", "live", "logging", "optimize", "coin_overrides", "paper",
    ]  # fmt: skip
    assert set(defaults()) == set(SECTIONS)
    assert len(BOT_KEYS) == 37


def test_defaults_pass_their_own_check() -> None:
    """Every default is a value its key takes, within its domain; every key is documented."""
    for key in KEYS:
        check_value(key, key.default)
        assert key.doc, key.path
    assert odd_values(defaults()) == []


def test_bot_table(spec: str) -> None:
    """Defaults and bounds of 5.2, and which keys may be overridden (5.1)."""
    table = rows_of(spec, "### 5.2", "### 5.3")
    assert len(table) == 37
    template = json.loads((ROOT / "configs" / "template.json").read_text())
    for name, builtin, long, short, bounds, shipped in table:
        for pside, value in (("long", long), ("short", short)):
            assert defaults()["bot"][pside][name] == float(builtin)
            assert template["bot"][pside][name] == float(value)
            assert defaults()["optimize"]["bounds"][f"{pside}_{name}"] == json.loads(bounds)
        for pside, value in zip(("long", "short"), (shipped.split(" / ") * 2)[:2], strict=True):
            assert template["optimize"]["bounds"][f"{pside}_{name}"] == json.loads(value)
    overridable = {row[0] for row in rows_of(spec, "### 5.1", "### 5.2") if row[2] == "y"}
    assert overridable == OVERRIDABLE_BOT_KEYS


@pytest.mark.parametrize(
    ("section", "start", "end"),
    [
        ("backtest", "## 4. Section", "Runtime-only"),
        ("live", "## 6. Section", "Shipped `configs"),
        ("optimize", "| optimize key", "Section `paper`"),
    ],
)
def test_section_tables(spec: str, section: str, start: str, end: str) -> None:
    """Every key of the tables is in the schema, with its built-in default where that is a plain value."""
    for row in rows_of(spec, start, end):
        for name in re.findall(r"[a-z][a-z_0-9.]+", row[0]):
            if f"{section}.{name}" == "optimize.bounds":
                continue
            key = BY_PATH[f"{section}.{name}"]
            assert key.optional == ("opt" in row[1].split(", ")[-1].split()) or name == "base_config_path", key.path
            try:
                expected = json.loads(row[2].strip("`"))
            except ValueError:
                continue
            assert key.default == expected, key.path


# `additions.md` 11: a suite is asked for with --suite, caches are not compressed
SHIPPED_OTHERWISE = {"backtest.compress_cache": False, "backtest.suite.enabled": False}
SHIPPED_IN_WORDS = ("backtest.exchanges", "backtest.suite.scenarios", "optimize.bounds", "optimize.limits",
                    "optimize.scoring")  # fmt: skip


@pytest.mark.parametrize(
    ("section", "start", "end", "column"),
    [
        ("backtest", "## 4. Section", "Runtime-only", 3),
        ("live", "## 6. Section", "Shipped `configs", 3),
        ("logging", "| logging key", "Level tokens", 1),
        ("optimize", "| optimize key", "Section `paper`", 3),
    ],
)
def test_shipped_values(spec: str, section: str, start: str, end: str, column: int) -> None:
    """The template has the values of the tables' shipped column, and no optional keys."""
    template = json.loads((ROOT / "configs" / "template.json").read_text())
    for row in rows_of(spec, start, end):
        for name in re.findall(r"[a-z][a-z_0-9.]+", row[0]):
            path, cell = f"{section}.{name}", row[column].strip("`")
            value = template
            for part in path.split("."):
                value = value.get(part, "absent")
            if cell in ("absent", "-"):
                assert value == "absent", path
            elif path not in SHIPPED_IN_WORDS:
                expected = BY_PATH[path].default if cell == "same" else json.loads(cell)
                assert value == SHIPPED_OTHERWISE.get(path, expected), path
    assert template["optimize"]["scoring"] == [
        "adg_pnl", "adg_pnl_w", "mdg_pnl_w", "loss_profit_ratio", "peak_recovery_hours_pnl", "position_held_hours_max",
        "position_unchanged_hours_max", "volume_pct_per_day_avg_w", "entry_initial_balance_pct_long",
    ]  # fmt: skip
    assert template["backtest"]["exchanges"] == ["binance", "bybit"]
    assert [(limit["metric"], limit["value"], limit.get("stat")) for limit in template["optimize"]["limits"]] == [
        ("drawdown_worst_btc", 0.9, None), ("drawdown_worst_usd", 0.9, None), ("loss_profit_ratio", 0.6, None),
        ("adg_pnl", 0.0007, "mean"), ("peak_recovery_hours_pnl", 1344, None), ("position_held_hours_max", 1344, None),
        ("position_unchanged_hours_max", 840, None),
    ]  # fmt: skip


def test_paper_table(spec: str) -> None:
    """Defaults and flags of the section `paper`; every key of it is optional."""
    flags = {option.dest: option.flags[0] for option in MAIN.options}
    for row in rows_of(spec, "| paper key", "7.1"):
        for name in re.findall(r"[a-z][a-z_]+", row[0]):
            key = BY_PATH[f"paper.{name}"]
            assert key.optional
            assert (key.path in flags) == ("--paper" in row[3])
            if "`" not in row[2] and "," not in row[2]:
                assert key.default == json.loads(row[2]), key.path


def test_optional_keys_of_the_additions() -> None:
    """`additions.md` 16."""
    for path in ("live.foreign_orders", "live.second_instance", "live.heartbeat_path", "live.metrics_port",
                 "live.notify", "optimize.holdout", "backtest.archive_exchanges"):  # fmt: skip
        assert BY_PATH[path].optional


def test_known_tree_ends_at_free_mappings() -> None:
    assert known_tree()["backtest"]["suite"]["aggregate"].kind is Kind.DICT
    assert known_tree()["coin_overrides"].free


def test_odd_values_are_told_and_kept() -> None:
    config = format_config(
        {"bot": {"long": {"entry_grid_spacing_pct": 0, "close_grid_qty_pct": 1.5}, "short": {}}, "live": {}},
        clock=CLOCK,
    )
    told = odd_values(config)
    assert [line.split()[0] for line in told] == ["bot.long.close_grid_qty_pct", "bot.long.entry_grid_spacing_pct"]
    assert "sensible values are above 0" in told[1]
    assert config["bot"]["long"]["close_grid_qty_pct"] == 1.5


# --- shipped files ---


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.stem))
def test_examples(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They load without a warning, run on the sample market, and make a settings record."""
    config = resolve_coin_overrides(load_config(path, clock=CLOCK), clock=CLOCK)
    assert caplog.records == []
    assert odd_values(config) == []
    settings = backtest_settings(config)
    assert settings.exchanges == ("sample",)
    assert (settings.start_date, settings.end_date) == ("2025-01-01", "2025-04-01")


def test_examples_cover_the_kinds() -> None:
    names = {path.stem for path in EXAMPLES}
    assert {"sample", "long_grid", "long_trailing", "hedge", "one_way", "forager_suite", "overrides"} <= names


def test_example_keys_are_json() -> None:
    accounts = json.loads((ROOT / "api-keys.json.example").read_text())
    assert {entry["exchange"] for entry in accounts.values()} >= {"binance", "bybit", "okx", "hyperliquid", "paradex"}


def test_documentation_is_current() -> None:
    """The tables of docs/configuration.md are those of the schema: `python3 -m config.doc` writes them."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert documented_tables(text) == text


# --- settings ---


def test_settings_record(shared: Path) -> None:
    """The reference config with overrides and BTC collateral."""
    path = shared / "reference_configs" / "06_overrides_btc_collateral.json"
    config = resolve_coin_overrides(load_config(path, clock=CLOCK), clock=CLOCK)
    settings = backtest_settings(config)
    assert settings.coins() == ["BTC", "ETH", "LTC", "XRP"]
    assert settings.approved == {"long": ("BTC", "ETH", "LTC", "XRP"), "short": ("BTC", "ETH")}
    assert settings.bot_params("XRP")["long"]["wallet_exposure_limit"] == 0.25
    assert settings.bot_params("BTC")["long"]["wallet_exposure_limit"] == -1.0
    assert settings.coins_with_leverage == ("ETH", "XRP")
    assert (settings.btc_collateral_cap, settings.btc_collateral_ltv_cap) == (1.2, 0.5)
    assert settings.maker_fee_override == 0.0002
    assert (settings.minimum_coin_age_days, type(settings.minimum_coin_age_days)) == (60, int)
    assert settings.forced_modes.of("ETH", "short") == "graceful_stop"


def test_cache_key_of_a_reference_config(shared: Path) -> None:
    """The vectors of section 16: numbers enter the dataset's key as the config has them."""
    config = load_config(shared / "reference_configs" / "01_btc_long_grid_only.json", clock=CLOCK)
    keys = []
    for age in (60, 60.0):
        config["live"]["minimum_coin_age_days"] = age
        (request,) = dataset_requests(backtest_settings(config), {}, Path("caches"))
        keys.append(request.key)
    assert keys == ["c9b585e82068d461", "8ad2ac9e66401608"]


@pytest.mark.parametrize(
    ("backtest", "environment", "offline"),
    [
        ({}, {}, False),
        ({"offline": True}, {}, True),
        ({}, {"PASSIVBOT_OFFLINE": "1"}, True),
        ({}, {"PASSIVBOT_OFFLINE": "0"}, False),
    ],
)
def test_offline(backtest: dict[str, Any], environment: dict[str, str], offline: bool) -> None:
    assert offline_wanted({"backtest": backtest}, environment) is offline
