"""Rules of datasets as plain loops say them: comparable volumes, slices of suites (`candles.md` 15.5, 15.9)."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import DAY_MS
from core.clock import MINUTE_MS as M
from core.dates import ts_to_date
from markets.candle import IMPORT
from simulation.dataset import Dataset
from simulation.suite import slice_dataset
from simulation.volumes import factors, reference_exchange, volume_ratios, window_of

EXCHANGES = ("aaa", "bbb", "ccc")

# (first day, volume a candle) of a coin on an exchange that has it: two candles a day up to day 5
listings = st.tuples(st.integers(0, 4), st.integers(0, 50))
coins = st.dictionaries(
    st.sampled_from(["A", "B", "C", "D"]),
    st.fixed_dictionaries(dict.fromkeys(EXCHANGES, listings)),
    max_size=4,
)


def candidate(exchange: str, first_day: int, volume: int) -> Any:
    """A market with two candles a day, of which only what preparation reads is there."""
    ts = np.array([day * DAY_MS + part for day in range(first_day, 6) for part in (0, DAY_MS // 2)], dtype=np.int64)
    columns = {name: np.full(len(ts), 1.0) for name in ("h", "l", "c")}
    columns |= {"ts": ts, "bv": volume + (ts // DAY_MS) % 3, "src": np.full(len(ts), IMPORT)}

    def read_columns(symbol: str, names: Any, low: int, high: int) -> dict[str, Any]:
        inside = (ts >= low) & (ts <= high)
        return {name: column[inside] for name, column in columns.items()}

    store = SimpleNamespace(read_columns=read_columns)
    return SimpleNamespace(feed=SimpleNamespace(exchange=exchange, manager=SimpleNamespace(store=store)), symbol="X")


REQUEST: Any = SimpleNamespace(gap_tolerance_ohlcvs_minutes=1440)


@given(coins)
def test_ratios_are_means_over_coins(listed: dict[str, dict[str, tuple[int, int]]]) -> None:
    """For each pair, the mean over coins of volume by volume, over the days that a coin has on all exchanges."""
    window = (0, 5 * DAY_MS)
    markets = {coin: [candidate(name, *of[name]) for name in EXCHANGES] for coin, of in listed.items()}
    expected: dict[tuple[str, str], float] = {}
    for one, other in combinations(EXCHANGES, 2):
        ratios = []
        for of in listed.values():
            days = range(max(first for first, _ in of.values()), 6)
            sums = {}
            for name, (_, volume) in of.items():  # of the last day only midnight is in the window
                sums[name] = float(sum((volume + day % 3) * (1 if day == 5 else 2) for day in days))
            ratios.append(sums[one] / sums[other] if sums[other] else 0.0)
        if ratios:
            expected[one, other] = float(np.mean(ratios))
    assert volume_ratios(REQUEST, markets, window) == pytest.approx(expected)


chosen = st.dictionaries(st.sampled_from("ABCDEFGH"), st.sampled_from(EXCHANGES), min_size=1)
ratio = st.floats(0.01, 100.0)


@given(chosen, st.tuples(ratio, ratio, ratio))
def test_factors_lead_to_the_reference(choice: dict[str, str], values: tuple[float, float, float]) -> None:
    """A volume counts as if traded on the exchange of most coins; ties go to the one whose first coin comes last."""
    loaded: Any = [
        SimpleNamespace(coin=coin, candidate=SimpleNamespace(feed=SimpleNamespace(exchange=name)))
        for coin, name in sorted(choice.items())
    ]
    of = {name: [coin for coin, where in sorted(choice.items()) if where == name] for name in choice.values()}
    most = max(map(len, of.values()))
    reference = max((coins[0], name) for name, coins in of.items() if len(coins) == most)[1]
    assert reference_exchange(loaded) == reference
    ratios = dict(zip(combinations(EXCHANGES, 2), values, strict=True))
    result, notes = factors(loaded, ratios)
    assert notes == []
    assert set(result) == set(of)
    for name, factor in result.items():
        if name == reference:
            assert factor == 1.0
        elif name < reference:
            assert factor == 1.0 / ratios[name, reference]
        else:
            assert factor == ratios[reference, name]


@given(st.integers(0, 200 * 1440), st.integers(0, 200 * 1440))
def test_window_of_volumes(start: int, length: int) -> None:
    """The last sixty days up to the last midnight, no more than there are data."""
    low, high = window_of(start * M, (start + length) * M)
    end = (start + length) * M
    assert low == max(start * M, end - 60 * DAY_MS)
    assert high % DAY_MS == 0
    assert 0 <= end - high < DAY_MS


BEGIN = 1_700_000_000_000 // M * M


def master(rows: int, valid: list[tuple[int, int, int]]) -> Dataset:
    """A dataset whose numbers tell row and coin; `valid` are first and last valid row and warm-up of each coin."""
    names = tuple("ABCD"[: len(valid)])
    cube = np.full((rows, len(valid), 4), np.nan)
    markets = {}
    for i, (first, last, warmup) in enumerate(valid):
        cube[first:, i] = (np.arange(first, rows) * 10 + i)[:, None]
        markets[names[i]] = {"first_valid_index": first, "last_valid_index": last, "warmup_minutes": warmup}
    return Dataset(
        name="x", coins=names, hlcvs=cube, btc_usd=np.arange(rows) + 1.0,
        timestamps=BEGIN + M * np.arange(rows), markets=markets, meta={"kept": 1}, key="k", directory=Path(),
    )  # fmt: skip


@st.composite
def masters(draw: st.DrawFn) -> Dataset:
    rows = draw(st.integers(1, 300))
    valid = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, rows - 1))
        valid.append((first, draw(st.integers(first, rows - 1)), draw(st.integers(0, 50))))
    return master(rows, valid)


@given(masters(), st.integers(-50, 350), st.integers(1, 300), st.integers(0, 80))
def test_slices_keep_the_same_candles(whole: Dataset, start: int, length: int, warmup: int) -> None:
    """A slice holds the minutes of its window, and each coin's valid rows are those of the whole that lie in it."""
    rows = len(whole.timestamps)
    begin, end = BEGIN + start * M, BEGIN + (start + length) * M
    if end < BEGIN or begin > BEGIN + (rows - 1) * M:
        return
    part = slice_dataset(whole, ts_to_date(begin), ts_to_date(end), warmup, "s")
    wanted = [row for row in range(rows) if start - warmup <= row <= start + length]
    assert part.timestamps.tolist() == [BEGIN + row * M for row in wanted]
    assert np.shares_memory(part.hlcvs, whole.hlcvs)
    assert part.hlcvs.flags.c_contiguous
    assert np.array_equal(part.hlcvs, whole.hlcvs[wanted], equal_nan=True)
    for coin in whole.coins:
        old, new = whole.markets[coin], part.markets[coin]
        valid = [i for i, row in enumerate(wanted) if old["first_valid_index"] <= row <= old["last_valid_index"]]
        count = len(wanted)
        first, last = (valid[0], valid[-1]) if valid else (count, count)
        assert (new["first_valid_index"], new["last_valid_index"]) == (first, last)
        assert new["trade_start_index"] == (min(last, first + old["warmup_minutes"]) if valid else count)
        assert new["warmup_minutes"] == old["warmup_minutes"]
    assert part.meta["warmup_minutes_provided"] == max(0, start - wanted[0])
    assert part.meta["kept"] == 1
