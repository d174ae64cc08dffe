"""When coins began: what exchanges are asked, what is remembered, who is old enough (`candles.md` 13)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles.first_timestamps import (
    ask_missing,
    first_anywhere,
    first_on_exchange,
    is_old_enough,
    lower_first_timestamps,
)
from candles.sources.first_candle import first_candle_ts
from core.clock import DAY_MS, ManualClock
from core.dates import date_to_ts
from core.errors import CandleFetchError, DataError

NOW = date_to_ts("2026-11-21T07:58")
LISTED = date_to_ts("2021-05-07")


class Listed:
    """Answers questions for pages of candles; remembers timeframe and since, and the parameters."""

    def __init__(self, first_ms: int | None, page: int = 200) -> None:
        self.first_ms, self.page = first_ms, page
        self.asked: list[tuple[str, int | None]] = []
        self.params: list[dict[str, Any]] = []

    def opens(self, timeframe: str) -> list[int]:
        if self.first_ms is None:
            return []
        if timeframe == "1M":
            months = np.arange(
                np.datetime64(self.first_ms, "ms").astype("M8[M]"), np.datetime64(NOW, "ms").astype("M8[M]") + 1
            )
            opens: list[int] = months.astype("M8[ms]").astype(np.int64).tolist()
            return opens
        return list(range(self.first_ms, NOW, DAY_MS * (7 if timeframe == "1w" else 1)))

    async def __call__(
        self, timeframe: str, since: int | None, limit: int, params: dict[str, Any]
    ) -> Sequence[Sequence[Any]]:
        self.asked.append((timeframe, since))
        self.params.append(params)
        rows = [[ts, 1.0, 1.0, 1.0, 1.0, 1.0] for ts in self.opens(timeframe)]
        if "until" in params:
            return [row for row in rows if row[0] <= params["until"]][-(self.page if timeframe == "1M" else limit) :]
        return [row for row in rows if row[0] >= (since or 0)][:limit]


@pytest.mark.parametrize(
    ("exchange", "timeframe", "since"),
    [
        ("binance", "1d", 1),
        ("bybit", "1d", date_to_ts("2018")),
        ("gateio", "1d", date_to_ts("2018")),
        ("okx", "1M", date_to_ts("2018")),
        ("hyperliquid", "1w", date_to_ts("2021")),
        ("somebody", "1d", date_to_ts("2018")),
    ],
)
def test_questions(exchange: str, timeframe: str, since: int) -> None:
    """One question of the exchange's kind answers, as exactly as its timeframe."""
    ask = Listed(LISTED)
    first = asyncio.run(first_candle_ts(exchange, ask, 1000, NOW))
    assert first == (date_to_ts("2021-05") if timeframe == "1M" else LISTED)
    assert ask.asked == [(timeframe, since)]


def test_nobody_knows() -> None:
    """Nothing, and nothing valid, is None; an unknown exchange is asked again since 2020."""
    ask = Listed(None)
    assert asyncio.run(first_candle_ts("somebody", ask, 1000, NOW)) is None
    assert ask.asked == [("1d", date_to_ts("2018")), ("1d", date_to_ts("2020"))]
    assert asyncio.run(first_candle_ts("bitget", Listed(None), 200, NOW)) is None

    async def absurd(*words: Any) -> list[list[Any]]:
        return [[0, 1], [None, 1], [1262304000000, 1], []]

    assert asyncio.run(first_candle_ts("binance", absurd, 1000, NOW)) is None


@settings(max_examples=50)
@given(st.integers(date_to_ts("2018-02") // DAY_MS, NOW // DAY_MS - 1), st.sampled_from([3, 12, 200]))
def test_searching_backwards(day: int, page: int) -> None:
    """bitget: the day is found, whatever part of the months a page holds, with few questions."""
    ask = Listed(day * DAY_MS, page)
    assert asyncio.run(first_candle_ts("bitget", ask, 200, NOW)) == day * DAY_MS
    assert ask.asked[-1] == ("1d", None)
    assert all(params["limit"] == 200 for params in ask.params)
    assert len(ask.asked) < 25


def asked_in_batches(
    cache: Path, answers: dict[str, int | None], exchange: str = "binance"
) -> tuple[Any, list[str], int]:
    """What comes back, which coins were asked for, and how many at once at most."""
    asked: list[str] = []
    running = most = 0

    async def ask(coin: str) -> int | None:
        nonlocal running, most
        asked.append(coin)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        answer = answers[coin]
        if answer == -1:
            raise CandleFetchError(f"{coin} failed")
        return answer

    return asyncio.run(ask_missing(cache, exchange, list(answers), ask)), asked, most


def test_asking_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ten coins at a time; what is known is not asked for again, what nobody knew or what failed is."""
    answers: dict[str, int | None] = {f"C{i:02}": LISTED + i for i in range(23)} | {"NONE": None, "BAD": -1}
    result, asked, most = asked_in_batches(tmp_path, answers)
    assert result == {coin: max(ts or 0, 0) for coin, ts in answers.items()}
    assert (len(asked), most) == (25, 10)
    assert "the first candle of BAD on binance stays unknown: BAD failed" in caplog.text
    assert asked_in_batches(tmp_path, answers)[1] == ["NONE", "BAD"]


def test_batches_are_remembered_at_once(tmp_path: Path) -> None:
    """What an aborted question left unanswered is asked for next time, no more."""
    seen: list[str] = []

    async def ask(coin: str) -> int | None:
        seen.append(coin)
        if len(seen) > 10:
            raise RuntimeError("stopped")
        return LISTED

    coins = [f"C{i:02}" for i in range(15)]
    with pytest.raises(RuntimeError, match="stopped"):
        asyncio.run(ask_missing(tmp_path, "bybit", coins, ask))
    assert sorted(first_on_exchange(tmp_path, "bybit")) == coins[:10]


def test_files(tmp_path: Path) -> None:
    """Three files: by exchange, over all, over all by CCXT id; times are only lowered, 0 is no time."""
    lower_first_timestamps(tmp_path, "binanceusdm", {"BTC": 300, "ETH": 200})
    lower_first_timestamps(tmp_path, "bybit", {"BTC": 100, "ETH": 400})
    lower_first_timestamps(tmp_path, "binance", {"BTC": 500})
    assert first_on_exchange(tmp_path, "binance") == {"BTC": 300, "ETH": 200}
    assert first_anywhere(tmp_path) == {"BTC": 100, "ETH": 200}
    nested = tmp_path / "first_ohlcv_timestamps_unified_exchange_specific.json"
    expected = {"BTC": {"binanceusdm": 300, "bybit": 100}, "ETH": {"binanceusdm": 200, "bybit": 400}}
    assert nested.read_text() == json.dumps(expected, indent=4, sort_keys=True) + "\n"
    unified = tmp_path / "first_ohlcv_timestamps_unified.json"
    unified.write_text('{"BTC": 0.0, "ETH": 150}')
    lower_first_timestamps(tmp_path, "bybit", {"BTC": 700})
    assert first_anywhere(tmp_path) == {"BTC": 700, "ETH": 150}
    unified.write_text("[]")
    with pytest.raises(DataError, match="is not a mapping of coins to times; delete it"):
        first_anywhere(tmp_path)


@pytest.mark.parametrize(
    ("first", "days", "old"),
    [(NOW - 7 * DAY_MS, 7, False), (NOW - 7 * DAY_MS - 1, 7, True), (0, 7, False), (0.0, 0, True), (NOW, 0, True),
     (NOW - DAY_MS, 0.5, True), (NOW - DAY_MS, 1.5, False), (NOW + DAY_MS, 7, False)],
)  # fmt: skip
def test_age_in_the_live_bot(first: float, days: float, old: bool) -> None:
    """Older than the minimum, not as old; an unknown first candle is too young; without a minimum age all are old."""
    assert is_old_enough(first, ManualClock(NOW).now_ms(), days) is old
