"""Whatever comes in: an answer or a ValueError, TypeError or KeyError; never a panic, never a number that is none."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine_cases import EngineCase, bundle_meta, example_a, example_b, random_market
from test_planner_examples import base

ODD_NUMBERS = [0, -0.0, -1, 1, 0.5, 1e-300, -1e-300, 1e-9, 1e9, 1e18, 1e308, -1e308]
NO_JSON_NUMBERS = [math.nan, math.inf, -math.inf]
ODD_THINGS: list[Any] = ["x", "", None, [], {}, True, [1, 2]]
REFUSALS = (ValueError, TypeError, KeyError)

odd_for_json = st.sampled_from(ODD_NUMBERS)
odd_for_python = st.one_of(st.sampled_from([*ODD_NUMBERS, *NO_JSON_NUMBERS]), st.sampled_from(ODD_THINGS))


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every value that is no container."""
    if isinstance(node, dict):
        return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]
    if isinstance(node, list):
        return [leaf for i, value in enumerate(node) for leaf in leaves(value, (*path, i))]
    return [path]


def put(node: Any, path: tuple[Any, ...], value: Any) -> None:
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value


REQUEST = base(3)
for _i, _symbol in enumerate(REQUEST["symbols"]):
    _symbol["long"]["position"] = {"size": 2.0 * _i, "price": 101.0 if _i else 0.0}
    _symbol["short"]["position"] = {"size": -1.5 * _i, "price": 99.0 if _i else 0.0}
for _side in ("long", "short"):
    REQUEST["global"]["global_bot_params"][_side] |= {"n_positions": 2, "total_wallet_exposure_limit": 1.5}
REQUEST_LEAVES = leaves(REQUEST)


@settings(max_examples=400, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(REQUEST_LEAVES), odd_for_json), min_size=1, max_size=4))
def test_planner_answers_or_refuses(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Odd numbers anywhere in a request: orders with finite quantity and positive price, or a ValueError."""
    request = copy.deepcopy(REQUEST)
    for path, value in changes:
        put(request, path, value)
    try:
        response = json.loads(pbr.calc_ideal_orders_orchestrator(json.dumps(request)))
    except ValueError:
        return
    for order in response["orders"]:
        assert math.isfinite(order["qty"])
        assert order["qty"] != 0
        assert math.isfinite(order["price"])


CASE = example_a()
INPUT = {"bot": CASE.bot_params, "exchange": CASE.exchange_params, "run": CASE.run}
INPUT_LEAVES = leaves(INPUT)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.sampled_from(INPUT_LEAVES), odd_for_python), min_size=1, max_size=3))
def test_runs_finish_or_refuse(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    """Odd values anywhere in the parameters of a run: a result, or an exception of the documented kinds."""
    parts = copy.deepcopy(INPUT)
    for path, value in changes:
        put(parts, path, value)
    try:
        fills, equity, _, _ = pbr.run_backtest(CASE.hlcvs, CASE.btc_usd, parts["bot"], parts["exchange"], parts["run"])
    except REFUSALS:
        return
    assert fills.shape[1] == 18
    assert equity.shape[1] == 3


@settings(max_examples=100, deadline=None)
@given(
    cells=st.lists(
        st.tuples(st.integers(0, 129), st.integers(0, 3), st.sampled_from([*ODD_NUMBERS, *NO_JSON_NUMBERS])), max_size=8
    )
)
def test_odd_candles_do_not_break_a_run(cells: list[tuple[int, int, float]]) -> None:
    """NaN, infinite, zero and negative cells inside the valid range: a result or a ValueError that names the row."""
    hlcvs = CASE.hlcvs.copy()
    for row, field, value in cells:
        hlcvs[row, 0, field] = value
    try:
        pbr.run_backtest(hlcvs, CASE.btc_usd, CASE.bot_params, CASE.exchange_params, CASE.run)
    except pbr.EngineError as exc:
        assert "row" in str(exc)
        assert exc.row is not None


def make_bundle(case: Any) -> Any:
    timestamps = 60_000 * np.arange(len(case.btc_usd))
    return pbr.HlcvsBundle(case.hlcvs, case.btc_usd, timestamps, bundle_meta(case.hlcvs.shape[1]))


def test_entry_points_agree() -> None:
    """Bundle, bare arrays, the older names and the single-coin form give one result."""
    bare = pbr.run_backtest(*CASE.args)
    rest = (CASE.bot_params, CASE.exchange_params, CASE.run)
    bundle = make_bundle(CASE)
    single = pbr.backtest_single_coin(
        CASE.hlcvs[:, 0], CASE.btc_usd, CASE.bot_params[0], CASE.exchange_params[0], CASE.run
    )
    for other in (pbr.backtest_multi_coin(bundle, *rest), pbr.run_backtest_bundle(bundle, *rest), single):
        assert other[0].tolist() == bare[0].tolist()
        assert (other[1] == bare[1]).all()
        assert other[2:] == bare[2:]
    only = pbr.backtest_multi_coin(bundle, CASE.bot_params, CASE.exchange_params, CASE.run | {"metrics_only": True})
    assert only[:2] == (None, None)
    assert only[2:] == bare[2:]


def test_batch_matches_single_runs_and_survives_failures() -> None:
    """Each spec gives the metrics of its own run; a bad one gives NaN and its error; row ranges are sub-datasets."""
    case = example_b()
    bundle = make_bundle(case)
    spec = {
        "bot_params": case.bot_params,
        "exchange_params_list": case.exchange_params,
        "backtest_params_dict": case.run,
    }
    part = spec | {"rows": [0, 5000], "backtest_params_dict": case.run | {"last_valid_indices": [4999, 4999]}}
    broken = spec | {"exchange_params_list": [{}, {}]}
    values, errors = pbr.backtest_batch(bundle, [spec, broken, part], 2)
    names = [row[0] for row in pbr.metric_table()]
    assert values.shape == (3, 2 * len(names))
    assert errors[0] is None
    assert errors[2] is None
    assert errors[1] is not None
    assert "exchange_params[0].qty_step is missing" in errors[1]
    assert np.isnan(values[1]).all()
    whole = pbr.run_backtest(*case.args)
    cut = pbr.run_backtest(case.hlcvs[:5000], case.btc_usd[:5000], *case.args[2:4], part["backtest_params_dict"])
    for row, result in ((values[0], whole), (values[2], cut)):
        want = [np.nan if d[name] is None else d[name] for d in result[2:] for name in names]
        np.testing.assert_array_equal(row, np.array(want, dtype=float))


def test_batch_of_ranked_runs() -> None:
    """Runs whose coins compete for a slot, some over a part of the rows, give what each gives by itself."""
    rows, coins, template = 3000, 3, example_a()
    extra = {"n_positions": 1, "filter_volatility_ema_span": 30.0, "entry_grid_spacing_volatility_weight": 1.0}
    bot = [{side: params | extra for side, params in template.bot_params[0].items()}] * coins
    run = template.run | {
        "coins": [f"C{i}" for i in range(coins)],
        "first_valid_indices": [0] * coins,
        "last_valid_indices": [rows - 1] * coins,
        "warmup_minutes": [20] * coins,
    }
    case = EngineCase(
        random_market(5, rows, coins), np.full(rows, 30_000.0), bot, template.exchange_params * coins, run
    )
    spec = {"bot_params": bot, "exchange_params_list": case.exchange_params, "backtest_params_dict": run}
    later = spec | {"rows": [700, 2700], "backtest_params_dict": run | {"last_valid_indices": [1999] * coins}}
    values, errors = pbr.backtest_batch(make_bundle(case), [spec, later, spec], 2)
    assert errors == [None] * 3
    names = [row[0] for row in pbr.metric_table()]
    whole = pbr.run_backtest(*case.args)
    cut = pbr.run_backtest(case.hlcvs[700:2700], case.btc_usd[700:2700], *case.args[2:4], later["backtest_params_dict"])
    for row, result in zip(values, (whole, cut, whole), strict=True):
        want = [np.nan if d[name] is None else d[name] for d in result[2:] for name in names]
        np.testing.assert_array_equal(row, np.array(want, dtype=float))
    assert len({fill[2] for fill in cut[0].tolist()}) == coins, "every coin wins the slot now and then"


def test_cancel_flag_stops_a_batch() -> None:
    """A flag that is set before the start stops every spec; errors say so."""
    case = example_b()
    spec = {
        "bot_params": case.bot_params,
        "exchange_params_list": case.exchange_params,
        "backtest_params_dict": case.run,
    }
    flag = np.ones(1, dtype=np.uint8)
    _, errors = pbr.backtest_batch(make_bundle(case), [spec] * 400, 1, flag)
    assert "backtest cancelled" in errors


@pytest.mark.parametrize(
    ("edit", "error", "text"),
    [
        (lambda p: p["bot"][0]["long"].pop("ema_span_0"), ValueError, r"bot_params\[0\]\.long\.ema_span_0 is missing"),
        (lambda p: p["bot"][0].pop("short"), ValueError, r"bot_params\[0\]\.short is missing"),
        (
            lambda p: p["bot"][0]["long"].pop("filter_volatility_ema_span"),
            KeyError,
            "filter_volatility_ema_span .or filter_log_range_ema_span. is missing",
        ),
        (
            lambda p: p["bot"][0]["long"].update(ema_span_0="x"),
            TypeError,
            r"long\.ema_span_0 must be a number, got 'x'",
        ),
        (lambda p: p["bot"][0]["long"].update(ema_span_0=math.nan), ValueError, r"long\.ema_span_0 is NaN"),
        (lambda p: p["exchange"][0].update(c_mult=0), ValueError, r"exchange_params\[0\]\.c_mult must be > 0, got 0"),
        (lambda p: p["run"].update(coins=[]), ValueError, r"backtest_params\.coins 0"),
        (lambda p: p["run"].update(active_coin_indices=[7]), ValueError, "the cube has 1 columns"),
        (lambda p: p["run"].update(starting_balance="x"), TypeError, "starting_balance must be a number"),
        (lambda p: p["run"].update(forced_modes=[{"long": "go"}]), ValueError, "forced_modes.0..long must be normal"),
        (lambda p: p.update(bot=[]), ValueError, "at least one coin"),
    ],
)
def test_refusals_name_the_path(edit: Any, error: type[Exception], text: str) -> None:
    """A missing key, a wrong type and a bad value each name where they stand."""
    parts = copy.deepcopy(INPUT)
    edit(parts)
    with pytest.raises(error, match=text):
        pbr.run_backtest(CASE.hlcvs, CASE.btc_usd, parts["bot"], parts["exchange"], parts["run"])


def test_older_parameter_names_are_read() -> None:
    """The two renamed keys count under their older names too."""
    parts = copy.deepcopy(INPUT)
    for side in parts["bot"][0].values():
        side["entry_log_range_ema_span_hours"] = side.pop("entry_volatility_ema_span_hours")
        side["filter_log_range_ema_span"] = side.pop("filter_volatility_ema_span")
    got = pbr.run_backtest(CASE.hlcvs, CASE.btc_usd, parts["bot"], parts["exchange"], parts["run"])
    assert got[0].tolist() == pbr.run_backtest(*CASE.args)[0].tolist()


def test_arrays_are_checked() -> None:
    """Wrong dtype or dimension is a TypeError, disagreeing lengths a ValueError; tiny datasets give an empty result."""
    with pytest.raises(TypeError):
        pbr.run_backtest(CASE.hlcvs.astype(np.float32), *CASE.args[1:])
    with pytest.raises(TypeError):
        pbr.run_backtest(CASE.hlcvs[:, 0], *CASE.args[1:])
    with pytest.raises(ValueError, match="btc_usd has 5 rows"):
        pbr.run_backtest(CASE.hlcvs, CASE.btc_usd[:5], *CASE.args[2:])
    with pytest.raises(ValueError, match="at least one coin and one row"):
        pbr.run_backtest(CASE.hlcvs[:0], CASE.btc_usd[:0], *CASE.args[2:])
    for rows in (1, 2):
        fills, equity, _, _ = pbr.run_backtest(CASE.hlcvs[:rows], CASE.btc_usd[:rows], *CASE.args[2:])
        assert (fills.shape, equity.shape) == ((0, 18), (0, 3))


def test_bundle_checks_its_meta() -> None:
    """A missing or wrongly typed key and a wrong shape are ValueErrors; what may be left out is filled in."""
    timestamps = 60_000 * np.arange(130)
    for edit, text in [
        (lambda m: m.pop("warmup_minutes_requested"), "meta.warmup_minutes_requested is missing"),
        (lambda m: m["coins"][0].pop("c_mult"), r"meta\.coins\[0\]\.c_mult is missing"),
        (lambda m: m["coins"][0].update(quote=3), r"meta\.coins\[0\]\.quote has the wrong type"),
        (lambda m: m["coins"].append(m["coins"][0]), "hlcvs has 1 columns, meta.coins 2 entries"),
    ]:
        meta = bundle_meta(1)
        edit(meta)
        with pytest.raises(ValueError, match=text):
            pbr.HlcvsBundle(CASE.hlcvs, CASE.btc_usd, timestamps, meta)
    with pytest.raises(ValueError, match="timestamps has 5 rows"):
        pbr.HlcvsBundle(CASE.hlcvs, CASE.btc_usd, timestamps[:5], bundle_meta(1))
    bundle = pbr.HlcvsBundle(CASE.hlcvs, CASE.btc_usd, timestamps, bundle_meta(1))
    assert bundle.hlcvs is CASE.hlcvs
    assert bundle.coins_len() == 1
    found = bundle.coin_meta("AAA/USDT:USDT")
    assert found is not None
    assert (found["index"], found["coin"]) == (0, "AAA/USDT:USDT")
    assert bundle.coin_meta("nothing") is None
