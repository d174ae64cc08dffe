"""Suites: reading scenarios, the data they need, the config of each (`config_cli_suite.md` 15, 23; decisions E3-E7)."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.cli import update_config_with_args
from config.coins import finalize_coin_lists
from config.load import load_config
from config.normalize import format_config
from config.scenario_config import (
    SuiteData,
    apply_scenario,
    scenario_datasets,
    suite_warmup_minutes,
    usable_scenarios,
    with_overrides,
)
from config.scenarios import Scenario, Window, master_config, plan_suite, suite_scenarios
from config.suite import apply_suite_options
from config.warmup import compute_backtest_warmup_minutes
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError, DataError

CLOCK = ManualClock(date_to_ts("2026-11-21T07:58"))
Config = dict[str, Any]


def config_of(scenarios: list[Any], live: Config | None = None, **backtest: Any) -> Config:
    """A config with final coin lists: B = BTC, ETH long, ETH short, 2024-01-01 to 2024-07-01, no base scenario."""
    suite = {"scenarios": scenarios} | backtest.pop("suite", {})
    window = {"start_date": "2024-01-01", "end_date": "2024-07-01"}
    config: Config = {
        "bot": {"long": {}, "short": {}},
        "live": {"approved_coins": {"long": ["BTC", "ETH"], "short": ["ETH"]}} | (live or {}),
        "backtest": {**window, "suite": suite, **backtest},
        "optimize": {},
    }
    return finalize_coin_lists(format_config(config, clock=CLOCK), eligible=list, clock=CLOCK)


def scenarios_of(scenarios: list[Any], live: Config | None = None, **backtest: Any) -> tuple[Scenario, ...]:
    return suite_scenarios(config_of(scenarios, live, **backtest), clock=CLOCK)


def one(scenario: Any, live: Config | None = None, **backtest: Any) -> Scenario:
    return scenarios_of([scenario], live, **backtest)[0]


def data_of(*coins: str, exchange: str = "binance") -> SuiteData:
    return SuiteData({"combined": dict.fromkeys(coins, exchange)})


def applied(scenario: Any, data: SuiteData | None = None, live: Config | None = None, **backtest: Any) -> Config:
    config = config_of([scenario], live, **backtest)
    plan = plan_suite(config, clock=CLOCK)
    return apply_scenario(config, plan.scenarios[0], plan, data or data_of("BTC", "ETH"), clock=CLOCK)


# --- reading ---


def test_what_a_scenario_leaves_open() -> None:
    """Label by position, the base window (E3), the base coins by side (E4), every exchange."""
    base, first, second = scenarios_of([{}, {"label": ""}], suite={"include_base_scenario": True, "base_label": "full"})
    assert [base.label, first.label, second.label] == ["full", "scenario_01", "scenario_02"]
    assert first.window == Window("2024-01-01", "2024-07-01")
    assert first.coins == {"long": ("BTC", "ETH"), "short": ("ETH",)}
    assert (first.exchanges, first.coin_sources, first.overrides) == (None, {}, {})
    assert base == Scenario("full", first.window, first.coins, first.ignored, None, {}, {})


@pytest.mark.parametrize(
    ("coins", "expected"),
    [
        (["BTC", "BTCUSDT", "", "USDT"], {"long": ("BTC",), "short": ("BTC",)}),
        ("SOL, ADA,SOL", {"long": ("SOL", "ADA"), "short": ("SOL", "ADA")}),
        ({"long": ["SOL"], "short": "ADA"}, {"long": ("SOL",), "short": ("ADA",)}),
        ({"long": ["SOL"]}, {"long": ("SOL",), "short": ()}),
        (None, {"long": ("BTC", "ETH"), "short": ("ETH",)}),
        ([], {"long": (), "short": ()}),
    ],
)
def test_coins(coins: Any, expected: Config) -> None:
    """Lists serve both sides, mappings keep theirs (E2); texts are split (F8); names become coins, in order, once."""
    assert one({"coins": coins}).coins == expected


def test_ignored_coins() -> None:
    """Those of the scenario and those of the base config are removed, by side (E7)."""
    scenario = one(
        {"coins": ["BTC", "ETH", "SOL", "XRP"], "ignored_coins": {"long": ["SOLUSDT"], "short": []}},
        {"ignored_coins": ["XRP"]},
    )
    assert scenario.coins == {"long": ("BTC", "ETH"), "short": ("BTC", "ETH", "SOL")}
    assert scenario.ignored == {"long": ("XRP", "SOL"), "short": ("XRP",)}
    assert one({"ignored_coins": "ETH"}).coins == {"long": ("BTC",), "short": ()}


@pytest.mark.parametrize(
    ("dates", "window"),
    [
        ({"start_date": "2024-03-01"}, Window("2024-03-01", "2024-07-01")),
        ({"end_date": "2024-03-01T12:30"}, Window("2024-01-01", "2024-03-01T12:30")),
        ({"start_date": None, "end_date": ""}, Window("2024-01-01", "2024-07-01")),
        ({"end_date": "now"}, Window("2024-01-01", "2026-11-19")),
        ({"start_date": 2025, "end_date": "Today"}, Window("2025", "2026-11-19")),
    ],
)
def test_windows(dates: Config, window: Window) -> None:
    """A date replaces its end of the base window and keeps its time of day; null and "" are not given."""
    assert one(dates).window == window


def test_exchanges_and_sources() -> None:
    """Names in any usual form; nothing given means all of the data."""
    assert one({"exchanges": "binance, BinanceUSDM,bybit"}).exchanges == ("binance", "bybit")
    assert one({"exchanges": ["OKX"]}).exchanges == ("okx",)
    assert one({"exchanges": []}).exchanges is None
    assert one({"coin_sources": {"BTCUSDT": "binanceusdm", "ETH": None}}).coin_sources == {"BTC": "binance"}


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ({"exchanges": 5}, r"^scenario exchanges must be a string or list of strings .*entry 1 \(scenario_01\) has 5"),
        ({"exchanges": ["a", 5]}, r"^scenario exchanges must be a string or list of strings"),
        ({"coin_sources": ["BTC"]}, r"^scenario coin_sources must be a mapping of coin -> exchange .*\['BTC'\]"),
        ({"label": "x", "overrides": [1]}, r"^Scenario overrides for 'x' must be a mapping .*\[1\]"),
        ({"label": "a/b"}, "'a/b'"),
        ({"label": "a\\b"}, "label"),
        ({"label": ".."}, r"'\.\.'"),
        ({"label": " "}, "label ' ' cannot name a directory"),
        ({"label": 3}, "entry 1 label is 3: it must be a text"),
        ({"start_date": "soon"}, r"entry 1 \(scenario_01\) start_date: Unable to parse date string 'soon'"),
        ({"end_date": "1735689600"}, r"end_date: Unable to parse date string '1735689600'"),
        ({"start_date": "2024-07-01"}, "end_date 2024-07-01 is not after its start_date 2024-07-01"),
        ({"coins": {"both": []}}, r"entry 1 \(scenario_01\) coins has the key 'both'"),
        ({"coins": "lists/none.json"}, "lists/none.json"),
        ({"coin_sources": {"BTC": "okx", "BTCUSDT": "bybit"}}, "BTC to both okx and bybit"),
    ],
)
def test_malformed_scenarios(scenario: Config, message: str) -> None:
    """Wrong types, labels and dates are errors that name scenario, key and value (15.1, F14)."""
    with pytest.raises(ConfigError, match=message):
        one(scenario)


def test_labels_are_unique() -> None:
    """Two scenarios may not share a directory, the base scenario included."""
    with pytest.raises(ConfigError, match="two suite scenarios have the label 'a'"):
        scenarios_of([{"label": "a"}, {"label": "a"}])
    with pytest.raises(ConfigError, match="two suite scenarios have the label 'base'"):
        scenarios_of([{"label": "base"}], suite={"include_base_scenario": True})
    with pytest.raises(ConfigError, match="label '' cannot name a directory"):
        scenarios_of([{}], suite={"include_base_scenario": True, "base_label": ""})
    with pytest.raises(ConfigError, match="two suite scenarios have the label 'scenario_02'"):
        scenarios_of([{"label": "scenario_02"}, {}])


def test_unknown_keys_warn(caplog: pytest.LogCaptureFixture) -> None:
    """With the nearest known name (F15); keys beginning with an underscore are comments."""
    with caplog.at_level(logging.WARNING):
        one({"label": "x", "overides": {}, "_note": "y"})
    assert "unknown key overides of backtest.suite.scenarios entry 1" in caplog.text
    assert "the nearest known name is overrides" in caplog.text
    assert "_note" not in caplog.text


def test_suite_without_scenarios(shared: Path) -> None:
    """An error, even with the base scenario; 01 has none."""
    config = load_config(shared / "reference_configs" / "01_btc_long_grid_only.json", clock=CLOCK)
    with pytest.raises(ConfigError, match=r"^config\.backtest\.suite\.scenarios must contain at least one scenario\.$"):
        plan_suite(apply_suite_options(config, True), clock=CLOCK)
    with pytest.raises(ConfigError, match="at least one scenario"):
        scenarios_of([], suite={"include_base_scenario": True})


# --- the data of all scenarios ---


def test_master_data() -> None:
    """The union of windows as instants (E3, F13) and of coins by side (E4), none from sources alone (E5)."""
    config = config_of(
        [
            {"label": "a", "coins": {"long": ["SOL"], "short": []}, "start_date": "2024-01-01T00:00+02:00"},
            {"label": "b", "end_date": "2024-07-01T12:00", "coin_sources": {"DOGE": "okx"}},
            {"label": "c", "coins": ["ADA"], "ignored_coins": ["ADA"], "end_date": "2024/07/01"},
        ],
        coin_sources={"BTC": "binance"},
    )  # fmt: skip
    plan = plan_suite(config, clock=CLOCK)
    assert plan.labels == ("a", "b", "c")
    assert plan.window == Window("2024-01-01T00:00+02:00", "2024-07-01T12:00")
    assert plan.coins == {"long": ("BTC", "ETH", "SOL"), "short": ("ETH",)}
    assert plan.coin_sources == {"BTC": "binance", "DOGE": "okx"}
    master = master_config(config, plan)
    assert (master["backtest"]["start_date"], master["backtest"]["end_date"]) == (
        "2024-01-01T00:00+02:00", "2024-07-01T12:00",
    )  # fmt: skip
    assert master["backtest"]["coin_sources"] == plan.coin_sources
    assert master["live"]["approved_coins"] == {"long": ["BTC", "ETH", "SOL"], "short": ["ETH"]}
    again = finalize_coin_lists(master, eligible=list, clock=CLOCK)
    assert again["live"] == master["live"]


def test_master_coins_come_from_scenarios_alone() -> None:
    """Base coins that no scenario trades are not loaded."""
    plan = plan_suite(config_of([{"coins": "SOL"}]), clock=CLOCK)
    assert plan.coins == {"long": ("SOL",), "short": ("SOL",)}


def test_base_window_always_counts() -> None:
    """The data cover it even where every scenario is shorter (15.2.5)."""
    plan = plan_suite(config_of([{"start_date": "2024-02-01", "end_date": "2024-03-01"}]), clock=CLOCK)
    assert plan.window == Window("2024-01-01", "2024-07-01")


@pytest.mark.parametrize(
    ("base", "sources"), [({"BTC": "okx"}, [{"BTC": "bybit"}]), ({}, [{"BTC": "okx"}, {"BTCUSDT": "bybit"}])]
)
def test_conflicting_sources(base: Config, sources: list[Config]) -> None:
    """A coin sent to two exchanges anywhere in the suite is an error that names both."""
    config = config_of([{"coin_sources": own} for own in sources], coin_sources=base)
    with pytest.raises(ConfigError, match="BTC to bybit, but it is sent to okx"):
        plan_suite(config, clock=CLOCK)


def test_unknown_aggregate_mode() -> None:
    """Told before anything runs."""
    with pytest.raises(ConfigError, match=r"backtest\.suite\.aggregate\.mdg is 'avg'"):
        plan_suite(config_of([{}], suite={"aggregate": {"mdg": "avg"}}), clock=CLOCK)


def test_warmup_covers_every_override() -> None:
    """The largest over the base config and all overrides, coin overrides and ratios included."""
    config = config_of(
        [
            {"overrides": {"bot.short.ema_span_1": 90000}},
            {"overrides": {"live.warmup_ratio": 0.1}},
            {"overrides": {"coin_overrides.SOL.bot.long.ema_span_0": 100000.0}},
        ],
        {"warmup_ratio": 0.5},
    )
    plan = plan_suite(config, clock=CLOCK)
    assert compute_backtest_warmup_minutes(config) == 72 * 60 * 0.5
    assert suite_warmup_minutes(config, plan.scenarios[1:2], clock=CLOCK) == 2160
    assert suite_warmup_minutes(config, plan.scenarios[:2], clock=CLOCK) == 45000
    assert suite_warmup_minutes(config, plan.scenarios, clock=CLOCK) == 50000
    assert suite_warmup_minutes(config, plan.scenarios, clock=CLOCK, with_bounds=True) == 50000


# --- the config of one scenario ---


def test_config_of_a_scenario() -> None:
    """Window, coins by side and per dataset, exchanges, sources; the base config is not touched."""
    scenario = {
        "label": "x", "start_date": "2024-03-01T06:00", "coins": {"long": ["SOL", "BTC"], "short": ["ETH"]},
        "ignored_coins": ["XRP"], "coin_sources": {"SOL": "bybit"},
    }  # fmt: skip
    data = SuiteData({"combined": {"SOL": "bybit", "BTC": "binance", "ETH": "binance", "ADA": "okx"}})
    config = config_of([scenario], coin_sources={"BTC": "binance"})
    before = copy.deepcopy(config)
    plan = plan_suite(config, clock=CLOCK)
    result = apply_scenario(config, plan.scenarios[0], plan, data, clock=CLOCK)
    assert config == before
    backtest, live = result["backtest"], result["live"]
    assert (backtest["start_date"], backtest["end_date"]) == ("2024-03-01T06:00", "2024-07-01")
    assert live["approved_coins"] == {"long": ["BTC", "SOL"], "short": ["ETH"]}
    assert live["ignored_coins"] == {"long": ["XRP"], "short": ["XRP"]}
    assert result["_coins_sources"] == {name: live[name] for name in ("approved_coins", "ignored_coins")}
    assert backtest["coins"] == {"combined": ["BTC", "ETH", "SOL"]}
    assert backtest["exchanges"] == ["binance", "bybit", "okx"]
    assert backtest["coin_sources"] == {"BTC": "binance", "SOL": "bybit"}
    entry = result["_transform_log"][-1]
    assert (entry["step"], entry["details"]["scenario"]) == ("apply_scenario", "x")
    assert entry["details"]["changes"][0] == {
        "action": "update", "path": "backtest.start_date", "old": "2024-01-01", "new": "2024-03-01T06:00",
    }  # fmt: skip


def test_coins_without_data(caplog: pytest.LogCaptureFixture) -> None:
    """They are left out with a warning; when none is left the scenario is an error."""
    with caplog.at_level(logging.WARNING):
        result = applied({"coins": ["BTC", "NEW"]}, data_of("BTC"))
    assert result["live"]["approved_coins"] == {"long": ["BTC"], "short": ["BTC"]}
    assert "scenario scenario_01: no data of NEW" in caplog.text
    with pytest.raises(DataError, match=r"^Scenario scenario_01 has no usable coins\."):
        applied({"coins": ["NEW"]}, data_of("BTC"))
    with pytest.raises(DataError, match=r"^Scenario scenario_01 has no usable coins\."):
        applied({"coins": []})


def test_exchanges_choose_coins_or_datasets(caplog: pytest.LogCaptureFixture) -> None:
    """Combined: coins of other exchanges are left out. Separate: datasets of other names (15.5)."""
    scenario = one({"exchanges": "bybit", "coins": "BTC,ETH"})
    combined = SuiteData({"combined": {"BTC": "binance", "ETH": "bybit"}})
    with caplog.at_level(logging.WARNING):
        assert scenario_datasets(scenario, combined) == {"combined": ["ETH"]}
    assert "BTC comes from binance, the coin is left out" in caplog.text
    separate = SuiteData({"binance": {"BTC": "binance", "ETH": "binance"}, "bybit": {"ETH": "bybit", "SOL": "bybit"}})
    assert scenario_datasets(scenario, separate) == {"bybit": ["ETH"]}
    assert scenario_datasets(one({"coins": "BTC,SOL"}), separate) == {"binance": ["BTC"], "bybit": ["SOL"]}
    with pytest.raises(DataError, match=r"no usable coins\. It wants BTC of okx"):
        scenario_datasets(one({"coins": "BTC", "exchanges": "okx"}), separate)
    assert applied({"exchanges": "binance"})["backtest"]["exchanges"] == ["binance"]


def test_optimizer_skips_what_cannot_run(caplog: pytest.LogCaptureFixture) -> None:
    """Scenarios without usable coins or exchanges are skipped with a warning; none left is an error (15.3)."""
    scenarios = scenarios_of([{"label": "a"}, {"label": "b", "coins": "NEW"}, {"label": "c", "exchanges": "okx"}])
    with caplog.at_level(logging.WARNING):
        assert [s.label for s in usable_scenarios(scenarios, data_of("BTC", "ETH"))] == ["a"]
    assert "scenario b is skipped" in caplog.text
    assert "scenario c is skipped" in caplog.text
    with pytest.raises(DataError, match="no scenario of the suite has usable coins"):
        usable_scenarios(scenarios[1:], data_of("BTC"))


def test_overrides_come_last_and_in_order(caplog: pytest.LogCaptureFixture) -> None:
    """Dotted paths, missing mappings are made, a section stands for its keys, a later path beats an earlier one."""
    overrides = {
        "bot.long.n_positions": 2.5,
        "bot.long.ema_span_0": 100,
        "bot.long": {"ema_span_0": 200, "n_positions": 3.5},
        "coin_overrides.ETHUSDT.bot.long.ema_span_1": 9,
        "coin_overrides.ETHUSDT.bot.long.n_positions": 9,
        "my.own.key": [1],
    }
    with caplog.at_level(logging.WARNING):
        result = applied({"overrides": overrides})
    assert result["bot"]["long"]["n_positions"] == 4
    assert result["bot"]["long"]["ema_span_0"] == 200
    assert result["bot"]["long"]["ema_span_1"] == 1435.0
    assert result["coin_overrides"] == {"ETH": {"bot": {"long": {"ema_span_1": 9}}}}
    assert result["my"] == {"own": {"key": [1]}}
    assert "the override my.own.key is no known key" in caplog.text
    assert caplog.text.count("no known key") == 1
    changes = result["_transform_log"][-1]["details"]["changes"]
    assert {"action": "update", "path": "bot.long.n_positions", "old": 10, "new": 3} in changes
    assert {"action": "add", "path": "my.own.key", "value": [1]} in changes


@pytest.mark.parametrize(("given", "rounded"), [(2.5, 3), (3.5, 4), (0.4, 0), (7, 7)])
def test_positions_round_half_away(given: float, rounded: int) -> None:
    """As in a file (E12)."""
    value = applied({"overrides": {"bot.short.n_positions": given}})["bot"]["short"]["n_positions"]
    assert (value, type(value)) == (rounded, int)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("bot.long.n_positions", "many", r"bot\.long\.n_positions is 'many'"),
        ("bot.long.ema_span_0", None, r"bot\.long\.ema_span_0 is None"),
        ("bot.long", 3, r"bot\.long is 3: it must be a mapping"),
        ("live.forced_mode_long", "go", r"live\.forced_mode_long is 'go'"),
        ("backtest.btc_collateral_cap", "x", r"backtest\.btc_collateral_cap is 'x'"),
        ("backtest.starting_balance", 0, r"backtest\.starting_balance is 0"),
        ("coin_overrides.BTC.live.leverage", "x", r"coin_overrides\.BTC\.live\.leverage is 'x'"),
    ],
)
def test_overrides_are_checked_like_their_keys(path: str, value: Any, message: str) -> None:
    """The error names scenario, path and value."""
    with pytest.raises(ConfigError, match=rf"^Scenario overrides for 'x': {message}"):
        applied({"label": "x", "overrides": {path: value}})


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("backtest.start_date", "2020", "start_date"),
        ("backtest.coin_sources.BTC", "okx", "coin_sources"),
        ("live.approved_coins", ["SOL"], "coins"),
        ("live.approved_coins.long", ["SOL"], "coins"),
        ("backtest", {"exchanges": ["okx"]}, "exchanges"),
    ],
)
def test_overrides_do_not_change_the_data(caplog: pytest.LogCaptureFixture, path: str, value: Any, key: str) -> None:
    """Dates, coins and exchanges are the scenario's own keys; an override of them is left out with a warning."""
    with caplog.at_level(logging.WARNING):
        result = applied({"overrides": {path: value}})
    plain = applied({})
    assert (result["backtest"], result["live"]) == (
        {**plain["backtest"], "suite": result["backtest"]["suite"]}, plain["live"],
    )  # fmt: skip
    assert f"the scenario's key is {key}" in caplog.text


def test_overrides_beat_genes() -> None:
    """In the optimizer they are laid over each candidate's config, and change nothing else."""
    config = config_of([{"overrides": {"bot.long.ema_span_0": 5}}])
    candidate = copy.deepcopy(config)
    candidate["bot"]["long"] |= {"ema_span_0": 777.0, "ema_span_1": 888.0}
    result = with_overrides(candidate, plan_suite(config, clock=CLOCK).scenarios[0], clock=CLOCK)
    assert (result["bot"]["long"]["ema_span_0"], candidate["bot"]["long"]["ema_span_0"]) == (5, 777.0)
    candidate["bot"]["long"]["ema_span_0"] = 5
    assert result == candidate


# --- the sample config ---


@pytest.fixture
def five(shared: Path) -> Config:
    """05 with `--suite y -sd 2024-02-25 -ed 2024-03-06`."""
    config = load_config(shared / "reference_configs" / "05_forager_5_coins_unstuck.json", clock=CLOCK)
    dates = {"backtest.start_date": "2024-02-25", "backtest.end_date": "2024-03-06"}
    config = apply_suite_options(format_config(update_config_with_args(config, dates, CLOCK), clock=CLOCK), True)
    return finalize_coin_lists(config, eligible=list, clock=CLOCK)


def test_sample_suite(five: Config) -> None:
    """Four scenarios; the data reach from the base start to the end of spring (23)."""
    plan = plan_suite(five, clock=CLOCK)
    assert plan.labels == ("full", "majors", "spring", "calm")
    assert plan.window == Window("2024-02-25", "2024-05-01")
    assert [scenario.window.end_date for scenario in plan.scenarios] == [
        "2024-03-06", "2024-03-06", "2024-05-01", "2024-03-06",
    ]  # fmt: skip
    assert plan.scenarios[2].window.start_date == "2024-03-01"
    data = data_of("ADA", "BTC", "DOGE", "ETH", "SOL")
    configs = [apply_scenario(five, scenario, plan, data, clock=CLOCK) for scenario in plan.scenarios]
    assert [c["bot"]["long"]["n_positions"] for c in configs] == [3, 2, 3, 3]
    assert configs[3]["bot"]["long"]["total_wallet_exposure_limit"] == 0.7
    assert configs[1]["live"]["approved_coins"] == {"long": ["BTC", "ETH"], "short": ["BTC", "ETH"]}
    assert configs[2]["live"]["approved_coins"]["long"] == ["ADA", "BTC", "DOGE", "ETH", "SOL"]


def test_sample_suite_in_the_optimizer(five: Config) -> None:
    """Rows with warm-up 10800; without the base scenario the coins stay the approved ones (E4)."""
    plan = plan_suite(five, clock=CLOCK)
    warmup = suite_warmup_minutes(five, plan.scenarios, clock=CLOCK, with_bounds=True)
    assert warmup == 10800
    assert [scenario.window.rows(warmup) for scenario in plan.scenarios] == [25201, 25201, 98641, 25201]
    five["backtest"]["suite"]["include_base_scenario"] = False
    majors, spring, calm = plan_suite(five, clock=CLOCK).scenarios
    assert majors.coins["long"] == ("BTC", "ETH")
    assert spring.coins["long"] == calm.coins["long"] == ("ADA", "BTC", "DOGE", "ETH", "SOL")


CONFIGS = Path(__file__).parents[1] / "configs"
SUITES = [path for path in sorted(CONFIGS.rglob("*.json")) if '"scenarios"' in path.read_text()]


@pytest.mark.parametrize("path", SUITES, ids=lambda path: str(path.stem))
def test_shipped_suites(caplog: pytest.LogCaptureFixture, path: Path) -> None:
    """Every shipped suite can be planned and each of its scenarios made, without a warning."""
    config = finalize_coin_lists(load_config(path, clock=CLOCK), eligible=list, clock=CLOCK)
    plan = plan_suite(config, clock=CLOCK)
    assert len(plan.labels) > 2
    for scenario in plan.scenarios:
        apply_scenario(config, scenario, plan, data_of(*plan.coins["long"], *plan.coins["short"]), clock=CLOCK)
    assert caplog.records == []


# --- random scenarios ---

dates = st.sampled_from([None, "", "2024-02-01", "2024-03-01T12:30", "2024-05", "2025-01-01T00:00+05:00"])
names = st.sampled_from(["BTC", "ETHUSDT", "SOL", "", "USDT"])
coin_lists = st.none() | st.lists(names, max_size=3) | st.fixed_dictionaries({"long": st.lists(names, max_size=2)})
scenario_dicts = st.fixed_dictionaries(
    {},
    optional={
        "start_date": dates, "end_date": dates, "coins": coin_lists, "ignored_coins": coin_lists,
        "exchanges": st.sampled_from([None, "binance", ["bybit", "binance"]]),
        "overrides": st.sampled_from([{}, {"bot.long.n_positions": 1.5}, {"live.warmup_ratio": 0.9}]),
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(scenario_dicts, min_size=1, max_size=3), st.booleans())
def test_data_cover_every_scenario(raw: list[Config], with_base: bool) -> None:
    """Window, coins and warm-up of the data contain those of each scenario; ignored coins are never traded."""
    config = config_of(raw, {"ignored_coins": ["SOL"]}, suite={"include_base_scenario": with_base})
    try:
        plan = plan_suite(config, clock=CLOCK)
    except ConfigError as exc:
        assert "is not after its start_date" in str(exc)
        return
    warmup = suite_warmup_minutes(config, plan.scenarios, clock=CLOCK)
    data = data_of("BTC", "ETH", "SOL")
    for scenario in plan.scenarios:
        assert plan.window.start_ms <= scenario.window.start_ms < scenario.window.end_ms <= plan.window.end_ms
        assert "SOL" not in {*scenario.coins["long"], *scenario.coins["short"]}
        if not any(scenario.coins.values()):
            continue
        result = apply_scenario(config, scenario, plan, data, clock=CLOCK)
        assert compute_backtest_warmup_minutes(result) <= warmup
        for pside, coins in result["live"]["approved_coins"].items():
            assert set(coins) <= set(plan.coins[pside])
            assert coins == sorted(set(coins))
        again = format_config(result, clock=CLOCK)
        assert again["bot"] == result["bot"]
