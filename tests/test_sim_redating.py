"""Old candles as those of today (`exchange_simulator.md` 4)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candles.resample import aggregate
from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, ScaledClock, SystemClock
from core.dates import date_to_ts
from core.errors import ConfigError, DataError
from exchange_sim.klines import INTERVALS, Page, klines
from exchange_sim.market import Instrument, VenueMarket
from exchange_sim.redating import HISTORY_DAYS, Span, find_span, redated
from exchange_sim.server import SimServer
from exchange_sim.settings import read_sim_config
from exchange_sim.sources import ArraySource, sample_market
from markets import sample
from markets.candle import CANDLE_DTYPE, REST, Candles
from sim_engine_cases import A, B, market

T0 = date_to_ts("2025-03-01")
ANCHOR = date_to_ts("2026-05-05T12:34")


def numbered(start: int, count: int) -> Candles:
    """Minutes whose prices are their numbers since T0 (above 0)."""
    out = np.zeros(count, CANDLE_DTYPE)
    out["ts"], out["src"], out["bv"] = start + MINUTE_MS * np.arange(count), REST, 1.0
    for name in ("o", "h", "l", "c"):
        out[name] = (out["ts"] - T0) / MINUTE_MS + 1e6
    return out


def number(ts: int) -> float:
    return (ts - T0) / MINUTE_MS + 1e6


def stored(**spans: tuple[int, int]) -> VenueMarket:
    """A market of symbols with so many minutes from a time on."""
    rows = {symbol: numbered(*spans[name]) for name, symbol in (("a", A), ("b", B)) if name in spans}
    source = ArraySource(rows)
    items = [Instrument(symbol[0], market(symbol), int(part["ts"][0])) for symbol, part in rows.items()]
    return VenueMarket(items, source.minutes, "stored candles", source.last_ts)


def shown(old: VenueMarket, span: Span) -> VenueMarket:
    return redated(old, ANCHOR, span)


SPAN = Span(T0 + 100 * MINUTE_MS, T0 + 163 * MINUTE_MS)  # 64 minutes, with 100 before them
SHORT = shown(stored(a=(T0, 200)), SPAN)


@settings(max_examples=60)
@given(st.integers(-3000, 3000), st.integers(0, 400))
def test_minutes_are_contiguous(start: int, count: int) -> None:
    """Whatever is asked for has every minute once; each is one of the stored ones, at most a round from the next."""
    first = ANCHOR + start * MINUTE_MS
    rows = SHORT.minutes(A, first, first + (count - 1) * MINUTE_MS)
    assert rows["ts"].tolist() == [first + i * MINUTE_MS for i in range(count)]
    steps = np.diff(rows["c"])
    assert set(steps.tolist()) <= {1.0, -63.0, -163.0}
    jumps = rows["ts"][1:][steps != 1.0]
    after = jumps[jumps >= ANCHOR]
    assert ((after - ANCHOR) % SPAN.length_ms == 0).all(), "a round ends only where the span does"


@pytest.mark.parametrize(
    ("at", "candle"),
    [(0, 100), (63, 163), (64, 100), (127, 163), (-1, 99), (-100, 0), (-101, 163), (-164, 100), (-165, 163)],
)
def test_what_is_shown(at: int, candle: int) -> None:
    """The anchor shows the span's first minute, rounds join; before it what came before, then rounds of the span."""
    ts = ANCHOR + at * MINUTE_MS
    assert SHORT.minutes(A, ts, ts)["c"].tolist() == [number(T0 + candle * MINUTE_MS)]


def test_stored_candles_are_not_changed() -> None:
    """Showing them elsewhere leaves the originals as they are."""
    old = stored(a=(T0, 200))
    before = old.minutes(A, T0, T0 + HOUR_MS).copy()
    shown(old, SPAN).minutes(A, ANCHOR - DAY_MS, ANCHOR + DAY_MS)
    assert np.array_equal(old.minutes(A, T0, T0 + HOUR_MS), before)


@pytest.mark.parametrize("name", ["1m", "5m", "1h", "1d", "1w"])
def test_klines(name: str) -> None:
    """Klines of every interval are those of the shown minutes, the current one as far as it has come."""
    item, interval, now = SHORT.by_symbol[A], INTERVALS[name], ANCHOR + 3 * HOUR_MS
    page = klines(SHORT, item, Page(interval, 20), now)
    start = int(page["ts"][0])
    until = SHORT.until(item, start, now, now)
    expected = aggregate(until, interval.ms) if interval.ms > MINUTE_MS else until
    if name != "1w":  # those do not lie on the grid of `aggregate`
        assert page["ts"].tolist() == expected["ts"].tolist()
        assert page["h"].tolist() == expected["h"].tolist()
    assert (np.diff(page["ts"]) == interval.ms).all()
    assert len(page) == 20


def test_the_market_seems_old() -> None:
    """Age filters pass; the note says what is shown, and who is missing."""
    old = stored(a=(T0, 200), b=(T0 + 150 * MINUTE_MS, 50))
    market = shown(old, SPAN)
    assert list(market.by_symbol) == [A]
    assert market.by_symbol[A].launch_ms == ANCHOR - HISTORY_DAYS * DAY_MS
    assert market.note == (
        "stored candles, 2025-03-01T01:40:00 to 2025-03-01T02:43:00 over and over, shown as of today, "
        f"without {B.partition('/')[0]} (not all of it there)"
    )


DAYS = DAY_MS // MINUTE_MS
END = T0 + 100 * DAY_MS - MINUTE_MS


@pytest.mark.parametrize(
    ("spans", "dates", "expected"),
    [
        ({"a": (T0, 100 * DAYS)}, (), (T0 + 70 * DAY_MS, END)),
        ({"a": (T0, 100 * DAYS), "b": (T0, 100 * DAYS - 60)}, (), (T0 + 70 * DAY_MS - HOUR_MS, END - HOUR_MS)),
        ({"a": (T0, 100 * DAYS), "b": (T0, 10 * DAYS)}, (), (T0 + 70 * DAY_MS, END)),
        ({"a": (T0, 100 * DAYS), "b": (T0, 10 * DAYS)}, ("", "2025-03-05"), (T0, T0 + 4 * DAY_MS - MINUTE_MS)),
        ({"a": (T0, 100 * DAYS)}, ("2025-03-03",), (T0 + 2 * DAY_MS, END)),
        ({"a": (T0, 100 * DAYS)}, ("2025-03-03", "2025-03-04"), (T0 + 2 * DAY_MS, T0 + 3 * DAY_MS - MINUTE_MS)),
        ({"a": (T0, 100 * DAYS)}, ("", "2030-01-01"), (T0 + 70 * DAY_MS, END)),
        ({"a": (T0, 90)}, (), (T0, T0 + 89 * MINUTE_MS)),
    ],
)
def test_which_span(spans: dict[str, tuple[int, int]], dates: tuple[str, ...], expected: tuple[int, int]) -> None:
    """The last 30 days that all recent coins have, or between the dates given; less than that: all there is."""
    assert find_span(stored(**spans), *dates) == Span(*expected)


@pytest.mark.parametrize(
    ("dates", "error", "words"),
    [
        (("2025-03-04", "2025-03-04"), ConfigError, "paper.start 2025-03-04 is not before paper.end 2025-03-04"),
        (("2024-03-04", "2025-03-02"), DataError, "no coin has candles from 2024-03-04"),
        (("2025-08-04",), DataError, "no coin has candles from 2025-08-04"),
        (("", "2024-01-01"), DataError, "choose other dates (paper.start, paper.end)"),
        (("soon",), ConfigError, "soon"),
    ],
)
def test_no_span(dates: tuple[str, ...], error: type[Exception], words: str) -> None:
    """Dates that do not fit are named, with the remedy."""
    old = stored(a=(T0, 10 * DAYS))
    with pytest.raises(error) as caught:
        redated(old, ANCHOR, find_span(old, *dates))
    assert words in str(caught.value)


# --- the file of a venue


def write_candles(folder: Path, last: int) -> None:
    """BTC of the sample market from T0 to a time, as a file."""
    folder.mkdir(exist_ok=True)
    rows = sample.candles("BTC/USDT:USDT", T0, last, 0)
    lines = ["ts,open,high,low,close,volume", *(",".join(map(str, list(row)[:6])) for row in rows.tolist())]
    (folder / "BTC.csv").write_text("\n".join(lines))


def venue(folder: Path, **keys: object) -> Path:
    path = folder / "venue.json"
    content = {"data": str(folder / "files"), "redate_ms": ANCHOR, "state_dir": str(folder / "state"), **keys}
    path.write_text(json.dumps(content))
    return path


def test_the_span_stays(tmp_path: Path) -> None:
    """An account sees the same candles at every start, also when more of them have come since."""
    write_candles(tmp_path / "files", T0 + 3 * HOUR_MS)
    first = read_sim_config(venue(tmp_path)).market
    write_candles(tmp_path / "files", T0 + 9 * HOUR_MS)
    again = read_sim_config(venue(tmp_path)).market
    window = (ANCHOR, ANCHOR + 12 * HOUR_MS)
    symbol = next(iter(first.by_symbol))
    assert again.minutes(symbol, *window).tolist() == first.minutes(symbol, *window).tolist()
    assert again.note == first.note
    other = read_sim_config(venue(tmp_path, state_dir="")).market
    assert other.note != first.note


def test_settings_beside_the_candles(tmp_path: Path) -> None:
    """A directory's settings.json says what its coins are like."""
    write_candles(tmp_path / "files", T0 + 3 * HOUR_MS)
    known = {"quote": "USDT", "defaults": {"price_step": 0.5, "qty_step": 0.001, "maker_fee": 0, "taker_fee": 0},
             "coins": {"BTC": {}}}  # fmt: skip
    (tmp_path / "files" / "settings.json").write_text(json.dumps(known))
    (item,) = read_sim_config(venue(tmp_path)).market.by_id.values()
    assert item.market.price_step == 0.5


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_time_does_not_go_back(speed: float, tmp_path: Path) -> None:
    """Accounts that ran fast are ahead of the machine; the next start goes on from there, whatever its speed."""
    ahead = SystemClock().now_ms() + 5 * DAY_MS
    saved = tmp_path / "state" / "bybit" / "0123" / "account.json"
    saved.parent.mkdir(parents=True)
    saved.write_text(json.dumps({"matched_ms": ahead}))
    clock = read_sim_config(venue(tmp_path, data="sample", redate_ms=0, speed=speed)).clock
    assert isinstance(clock, ScaledClock)
    assert clock.now_ms() >= ahead
    assert clock.speed == speed


def test_time_of_day(tmp_path: Path) -> None:
    """Otherwise a venue at speed 1 has the machine's own time."""
    assert isinstance(read_sim_config(venue(tmp_path, data="sample", redate_ms=0)).clock, SystemClock)
    assert sample_market().with_fees(maker=0.0).last_ts is None


@pytest.mark.parametrize(
    ("keys", "until"),
    [
        ({"start": "2025-03-01T01:00"}, T0 + 3 * HOUR_MS + MINUTE_MS),
        ({"start": "2025-03-01T01:00", "end": "2025-03-01T02:00"}, T0 + 2 * HOUR_MS),
        ({"start": "2025-03-01T01:00", "end": "2026-01-01"}, T0 + 3 * HOUR_MS + MINUTE_MS),
        ({"start": "2025-03-01T01:00", "data": "sample"}, None),
        ({"redate_ms": ANCHOR}, None),
    ],
)
def test_where_candles_end(keys: dict[str, object], until: int | None, tmp_path: Path) -> None:
    """A venue of the past has an end: of its candles, or `end`; others have none."""
    write_candles(tmp_path / "files", T0 + 3 * HOUR_MS)
    assert read_sim_config(venue(tmp_path, **{"redate_ms": 0, **keys})).until_ms == until


def test_after_the_end(tmp_path: Path) -> None:
    """A start where there are no candles any more is an error that says what to do."""
    write_candles(tmp_path / "files", T0 + 3 * HOUR_MS)
    with pytest.raises(ConfigError, match="candles end 2025-03-01T03:01:00; choose an earlier start, or forget"):
        read_sim_config(venue(tmp_path, redate_ms=0, start="2025-03-02"))


def test_a_venue_ends_with_its_candles(tmp_path: Path) -> None:
    """It closes by itself, and remembers how far it came even though nobody traded."""
    write_candles(tmp_path / "files", T0 + 3 * HOUR_MS)
    config = read_sim_config(venue(tmp_path, redate_ms=0, start="2025-03-01T03:00:59", speed=100))

    async def run() -> None:
        async with SimServer(config) as sim:
            sim.venue.engine("bybit").account("key")
            await asyncio.wait_for(sim.closing.wait(), 20)
            assert sim.is_over

    asyncio.run(run())
    (file,) = (tmp_path / "state").rglob("account.json")
    assert json.loads(file.read_text())["matched_ms"] >= T0 + 3 * HOUR_MS + MINUTE_MS
