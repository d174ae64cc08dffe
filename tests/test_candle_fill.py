"""Zero candles and missing spans (`candles.md` 7), sums of candles (6), timeframes (1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from candles.fill import missing_spans, sort_candles, standardize_gaps
from candles.resample import aggregate
from core.clock import MINUTE_MS as M
from markets.candle import CANDLE_DTYPE, FILLED, Candles, timeframe_ms, timeframe_name


def rows(*values: tuple[float, ...]) -> Candles:
    """Candles of (minute, o, h, l, c, v)."""
    return np.array([(int(minute) * M, *rest, 1) for minute, *rest in values], CANDLE_DTYPE)


def as_tuples(candles: Candles) -> list[tuple[float, ...]]:
    return [(row["ts"] // M, *row.tolist()[1:6]) for row in candles]


def flat(minute: int, price: float) -> tuple[float, ...]:
    return (minute, price, price, price, price, 0.0)


TWO, FIVE = (2, 10, 12, 9, 11, 5), (5, 11, 11.5, 10.5, 11.25, 1)
EXAMPLE = rows(TWO, FIVE)


@pytest.mark.parametrize(
    ("window", "options", "expected"),
    [
        ((0, 7), {}, [TWO, flat(3, 11), flat(4, 11), FIVE, flat(6, 11.25), flat(7, 11.25)]),
        (
            (0, 7),
            {"fill_leading_gaps": True},
            [flat(0, 11), flat(1, 11), TWO, flat(3, 11), flat(4, 11), FIVE, flat(6, 11.25), flat(7, 11.25)],
        ),
        ((3, 6), {}, [flat(3, 11), flat(4, 11), FIVE, flat(6, 11.25)]),
        ((0, 7), {"strict": True}, [TWO, FIVE]),
        ((-5, -1), {}, []),
        ((-5, -1), {"fill_leading_gaps": True}, [flat(minute, 11) for minute in range(-5, 0)]),
        ((None, None), {}, [TWO, flat(3, 11), flat(4, 11), FIVE]),
        ((6, 5), {}, []),
    ],
)
def test_examples(window: tuple[int | None, int | None], options: dict[str, Any], expected: list[Any]) -> None:
    """The worked examples: forward fill, leading fill, seed from before the window, real rows only."""
    start, end = (None if minute is None else minute * M for minute in window)
    assert as_tuples(standardize_gaps(EXAMPLE, start_ts=start, end_ts=end, **options)) == expected


def test_window_is_floored() -> None:
    """Ends inside a minute mean that minute."""
    filled = standardize_gaps(EXAMPLE, start_ts=2 * M + 59_999, end_ts=5 * M + 1)
    assert (filled["ts"] // M).tolist() == [2, 3, 4, 5]
    assert filled["src"].tolist() == [1, FILLED, FILLED, 1]


def test_empty_and_unsorted() -> None:
    """Nothing stays nothing; the last of equal times counts, whatever the order."""
    assert len(standardize_gaps(EXAMPLE[:0], start_ts=0, end_ts=M)) == 0
    newer = (2, 10, 11, 8, 8.5, 7)
    mixed = np.concatenate((rows(FIVE, TWO), rows(newer)))
    assert as_tuples(standardize_gaps(mixed))[0] == newer
    assert as_tuples(sort_candles(mixed)) == [newer, FIVE]
    assert len(standardize_gaps(mixed, strict=True)) == 3


def test_missing_spans() -> None:
    """Head, interior and tail runs."""
    assert missing_spans(EXAMPLE["ts"], 0, 7 * M) == [(0, M), (3 * M, 4 * M), (6 * M, 7 * M)]
    assert missing_spans(EXAMPLE["ts"], 2 * M, 2 * M) == []
    assert missing_spans(EXAMPLE["ts"], 3 * M, 4 * M) == [(3 * M, 4 * M)]
    assert missing_spans(EXAMPLE["ts"][:0], 0, M) == [(0, M)]
    assert missing_spans(EXAMPLE["ts"], M, 0) == []


def test_aggregate() -> None:
    """Open first, high max, low min, close last, volume summed; periods without a row are missing."""
    candles = rows(TWO, FIVE, (9, 12, 13, 11, 12.5, 2), (20, 1, 1, 1, 1, 1))
    assert [(ts // M, *rest) for ts, *rest, _ in aggregate(candles, 5 * M).tolist()] == [
        (0, 10, 12, 9, 11, 5),
        (5, 11, 13, 10.5, 12.5, 3),
        (20, 1, 1, 1, 1, 1),
    ]
    assert len(aggregate(candles[:0], 5 * M)) == 0


@pytest.mark.parametrize(
    ("text", "ms"),
    [("5m", 300_000), ("4H", 14_400_000), ("1d", 86_400_000), ("90s", 60_000), ("15", 60_000), (" 1h ", 3_600_000)],
)
def test_timeframes(text: str, ms: int) -> None:
    """Seconds round down to whole minutes, anything strange means one minute."""
    assert timeframe_ms(text) == ms


@pytest.mark.parametrize(
    ("text", "name"), [("90s", "1m"), ("120s", "2m"), ("60m", "1h"), ("4H", "4h"), ("24h", "1d"), ("36h", "36h")]
)
def test_names_of_timeframes(text: str, name: str) -> None:
    """However a period is written, it has one name, which reads as itself."""
    assert timeframe_name(timeframe_ms(text)) == name
    assert timeframe_ms(name) == timeframe_ms(text)
