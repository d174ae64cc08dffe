"""The pipeline under random input: idempotent, complete, and either a config or a ConfigError."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from config.access import set_config_value
from config.cli import update_config_with_args
from config.coins import sides_of
from config.dump import streamlined_json
from config.key import Key, Kind
from config.normalize import format_config, normalize_bound, round_half_away
from config.objectives import canonical_limits, canonical_metric, limit_violation
from config.overrides import resolve_coin_overrides
from config.schema import KEYS, defaults
from config.text import parse_hjson
from config.warmup import compute_backtest_warmup_minutes, compute_per_coin_warmup_minutes
from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import ConfigError

CLOCK = ManualClock(date_to_ts("2026-11-21"))
METADATA = ("_raw", "_transform_log", "_coins_sources")

numbers = st.one_of(st.integers(-10, 2000), st.floats(-10, 2000, allow_nan=False))
coins = st.lists(st.sampled_from(["BTC", "ETHUSDT", "1000SHIB", "XRP", ""]), max_size=4)
texts = st.text(st.characters(codec="utf-8"), max_size=12)
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def valid_values(key: Key) -> st.SearchStrategy[Any]:
    """Values that the key's kind allows."""
    low = max(key.low, -1000.0) if key.strict else -1000.0
    high = min(key.high, 1000.0) if key.strict else 1000.0
    by_kind: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.NUMBER: st.floats(max(low, 1e-3 if key.strict and key.low > 0 else low), high),
        Kind.INT: st.integers(math.ceil(max(low, 1)), int(high)),
        Kind.BOOL: st.booleans(),
        Kind.COINS: coins | st.fixed_dictionaries({"long": coins, "short": coins}),
        Kind.BOUND: numbers | st.lists(numbers, min_size=1, max_size=3),
        Kind.MODE: st.sampled_from(["", "gs", "Panic", None, "tp-only"]),
    }
    return by_kind.get(key.kind, st.just(key.default))


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Configs in the current shape with some valid values, some keys left out, and foreign ones added."""
    config: dict[str, Any] = {"bot": {"long": {}, "short": {}}, "live": {}, "backtest": {}, "optimize": {}}
    for key in draw(st.lists(st.sampled_from(KEYS), max_size=12, unique_by=lambda key: key.path)):
        set_config_value(config, key.path, draw(valid_values(key)))
    for path in draw(
        st.lists(st.sampled_from(["live.nonsense", "pbgui.x", "bot.long.old", "backtest._note"]), max_size=2)
    ):
        set_config_value(config, path, draw(anything))
    return config


def without_metadata(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in METADATA}


@settings(max_examples=60, deadline=None)
@given(configs(), st.booleans())
def test_formatting_is_idempotent(config: dict[str, Any], live_only: bool) -> None:
    """Its own output comes out as it went in, in the same order, with every built-in key."""
    once = format_config(config, live_only=live_only, clock=CLOCK)
    twice = format_config(once, live_only=live_only, clock=CLOCK)
    assert json.dumps(without_metadata(twice)) == json.dumps(without_metadata(once))
    for section, content in defaults().items():
        assert content.keys() <= once[section].keys()


LIVE_KEYS = [key for key in KEYS if key.section == "live" and not key.optional and key.kind in (Kind.NUMBER, Kind.BOOL)]


@st.composite
def older_shapes(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """`(flavor, file)`: a config in one of the older shapes, with a section of another program in it."""
    current = draw(configs()) | {"pbgui": draw(st.dictionaries(texts, anything, max_size=2))}
    match draw(st.sampled_from(["legacy_common", "nested_current", "live_only"])):
        case "legacy_common":
            common = {
                key.name: draw(valid_values(key)) for key in draw(st.lists(st.sampled_from(LIVE_KEYS), max_size=3))
            }
            common |= {"approved_symbols": draw(coins), "symbol_flags": {"BTC": "-lm gs -lw 0.3"}}
            return "legacy_common", {"common": common, **current}
        case "nested_current":
            return "nested_current", {"config": current, "analysis": {"gain": 1}}
        case _:
            return "live_only", {name: part for name, part in current.items() if name not in ("backtest", "optimize")}


@settings(max_examples=60, deadline=None)
@given(older_shapes(), st.booleans())
def test_older_shapes(shape: tuple[str, dict[str, Any]], live_only: bool) -> None:
    """They become the current shape, which stays as it is; sections of other programs are kept."""
    flavor, config = shape
    once = format_config(config, live_only=live_only, clock=CLOCK)
    assert once["_transform_log"][-1]["details"]["flavor"] == flavor
    assert once["pbgui"] == (config.get("config", config))["pbgui"]
    assert not {"common", "config", "analysis"} & once.keys()
    for name, value in config.get("common", {}).items():
        assert name in ("approved_symbols", "symbol_flags") or once["live"][name] == value
    twice = format_config(once, live_only=live_only, clock=CLOCK)
    assert twice["_transform_log"][-1]["details"]["flavor"] == "current"
    assert json.dumps(without_metadata(twice)) == json.dumps(without_metadata(once))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(KEYS), anything)
def test_wrong_values_are_config_errors(key: Key, value: Any) -> None:
    """Whatever stands at a key, the result is a config or a ConfigError, never another exception."""
    config: dict[str, Any] = {"bot": {"long": {}, "short": {}}, "live": {}, "backtest": {}, "optimize": {}}
    set_config_value(config, key.path, value)
    try:
        format_config(config, clock=CLOCK)
    except ConfigError as exc:
        assert "\n" not in str(exc)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["BTC", "ETHUSDT", "USDT"]), anything, max_size=2))
def test_wrong_overrides_are_config_errors(overrides: dict[str, Any]) -> None:
    config: dict[str, Any] = {"bot": {"long": {}, "short": {}}, "live": {}, "coin_overrides": overrides}
    try:
        resolve_coin_overrides(format_config(config, clock=CLOCK), clock=CLOCK)
    except ConfigError as exc:
        assert "coin_overrides" in str(exc)


@given(anything)
def test_coin_lists(source: Any) -> None:
    """Normalising a normalised list changes nothing."""
    try:
        once = sides_of(source, "x")
    except ConfigError:
        return
    assert sides_of(once, "x") == once


@given(anything | st.lists(st.dictionaries(st.sampled_from(["metric", "penalize_if", "value", "stat"]), anything)))
def test_limits(limits: Any) -> None:
    try:
        once = canonical_limits(limits)
    except ConfigError:
        return
    assert canonical_limits(once) == once


@given(texts)
def test_metric_names(name: str) -> None:
    assert canonical_metric(canonical_metric(name)) == canonical_metric(name)


@given(st.floats(), st.floats(-5, 5), st.sampled_from(["greater_than", "less_than"]))
def test_violations_are_never_negative(value: float, bound: float, rule: str) -> None:
    assert limit_violation({"metric": "x", "penalize_if": rule, "value": bound}, value) >= 0.0


@given(st.lists(numbers, min_size=1, max_size=4) | numbers)
def test_bounds(bound: Any) -> None:
    once = normalize_bound(bound)
    assert normalize_bound(once) == once


@given(st.floats(-1e6, 1e6))
def test_rounding_half_away(value: float) -> None:
    assert abs(round_half_away(value) - value) <= 0.5
    assert round_half_away(-value) == -round_half_away(value)


@given(anything)
def test_streamlined_json_is_json(value: Any) -> None:
    """Whatever the layout, it parses to the value."""
    for max_inline in (0, 20, 60):
        assert json.loads(streamlined_json(value, max_inline=max_inline)) == json.loads(json.dumps(value))


@given(st.dictionaries(st.text("abc_", min_size=1), anything, max_size=4))
def test_json_is_hjson(value: dict[str, Any]) -> None:
    """Plain JSON reads the same as HJSON, apart from the number rule, which keeps values."""
    assert parse_hjson(json.dumps(value), "x") == json.loads(json.dumps(value))


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1e5), st.floats(0, 2), st.floats(0, 5000))
def test_warmup(span: float, ratio: float, cap: float) -> None:
    """The data's warm-up is no shorter than any coin's, and never above the cap."""
    config = format_config({"bot": {"long": {"ema_span_0": span}, "short": {}}, "live": {}}, clock=CLOCK)
    config["live"] |= {"warmup_ratio": ratio, "max_warmup_minutes": cap}
    config["coin_overrides"] = {"BTC": {"bot": {"short": {"ema_span_1": 2 * span}}}}
    per_coin = compute_per_coin_warmup_minutes(config)
    assert compute_backtest_warmup_minutes(config) == max(per_coin.values())
    assert all(0 <= minutes <= (math.ceil(cap) if cap > 0 else math.inf) for minutes in per_coin.values())


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([key for key in KEYS if key.kind is Kind.NUMBER and not key.optional]), st.floats(1, 500))
def test_merging_writes_exactly_one_key(key: Key, value: float) -> None:
    config = format_config({"bot": {"long": {}, "short": {}}, "live": {}}, clock=CLOCK)
    merged = update_config_with_args(config, {key.path: value}, CLOCK)
    node: Any = merged
    for name in key.path.split("."):
        node = node[name]
    assert node == value
    set_config_value(merged, key.path, None)
    set_config_value(config, key.path, None)
    assert without_metadata(merged) == without_metadata(config)
