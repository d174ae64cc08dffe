"""The fill history: each trade once, on disk, brought up to date (`live.md` 17.2, 17.3)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.clock import DAY_MS, HOUR_MS, MINUTE_MS, ManualClock
from core.paths import fills_dir
from live.fills.book import FillBook, KnownOrder, KnownOrders
from live.fills.history import FillHistory
from live.fills.record import FillEvent
from live.fills.source import OnBatch
from live.fills.store import FillMetadata, FillStore
from test_fill_records import SYMBOL, fill

NOW = 1_700_000_000_000 // DAY_MS * DAY_MS + 12 * HOUR_MS


@dataclass
class FakeSource:
    """Serves `fills` in batches of two; the error comes after the first batch, if there is one."""

    fills: list[FillEvent] = field(default_factory=list)
    error: Exception | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)
    known: KnownOrders = field(default_factory=dict)

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        self.asked.append((start_ms, end_ms))
        self.known = known
        found = [event for event in self.fills if start_ms <= event.timestamp <= end_ms]
        for i in range(0, max(len(found), 1), 2):
            on_batch(found[i : i + 2])
            if self.error:
                raise self.error


@dataclass
class Bench:
    """A history over a source and a directory; `again` is the bot after a restart."""

    directory: Path
    source: FakeSource = field(default_factory=FakeSource)
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOW))
    new: list[list[str]] = field(default_factory=list)

    def again(self) -> FillHistory:
        history = FillHistory(FillStore(self.directory), self.source, self.clock, on_new=self._note)
        history.load()
        return history

    def _note(self, events: Sequence[FillEvent]) -> None:
        self.new.append([event.id for event in events])

    def day(self, name: str) -> Any:
        return json.loads((self.directory / f"{name}.json").read_text())

    def metadata(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.directory / "metadata.json").read_text())
        return content


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(fills_dir(tmp_path, "binance", "alice"))


def at(hours_ago: float, name: str, **changes: Any) -> FillEvent:
    return fill(id=name, timestamp=NOW - int(hours_ago * HOUR_MS), **changes)


# --- the book


def book(*events: FillEvent) -> FillBook:
    made = FillBook(lambda symbol: 1.0)
    made.add(events)
    return made


def test_a_trade_counts_once() -> None:
    """The same id is replaced, an older record is not taken, equal ones change nothing; symbols number their own."""
    held = book(fill(id="1", pnl=1.0))
    assert held.add([fill(id="1", pnl=2.0)]) == ([], {"2023-11-14"})
    assert held.add([fill(id="1", pnl=2.0)]) == ([], set())
    assert held.add([fill(id="1", pnl=3.0, timestamp=5)]) == ([], set())
    assert [event.pnl for event in held.events] == [2.0]
    assert len(held.add([fill(id="1", symbol="ETH/USDT:USDT")])[0]) == 1
    assert len(held.events) == 2


def test_what_is_known_of_an_order_stays() -> None:
    """A record without client id does not erase one; it is told to the fetcher by trade."""
    held = book(fill(id="1"))
    held.add([fill(id="1", pnl=9.0, client_order_id="", pb_order_type="unknown"), fill(id="2", client_order_id="")])
    assert held.events[0].pnl == 9.0
    assert held.known_orders() == {(SYMBOL, "1"): KnownOrder("0x0004", "entry_grid_normal_long")}


def test_coalesced_events_that_grow() -> None:
    """An event with more trades takes the place of its parts, a part does not come back."""
    held = book(fill(id="a"), fill(id="b"))
    new, _ = held.add([fill(id="a+b+c", qty=3)])
    assert [event.id for event in new] == ["a+b+c"]
    assert held.add([fill(id="b")]) == ([], set())
    assert held.add([fill(id="c+a+b", qty=3)])[0] == []
    assert [event.qty for event in held.events] == [3.0]


def test_time_moves_an_event_to_another_day() -> None:
    """A record that comes again with a later time belongs to the later day, and both days are written."""
    held = book(at(24, "1"))
    assert held.add([at(0, "1")])[1] == {at(24, "1").day, at(0, "1").day}


# --- the store


def test_files(bench: Bench) -> None:
    """A file a UTC day, ascending, in field order, with positions; metadata with its fields; nothing else."""
    bench.source.fills = [
        at(1, "3", side="sell"),
        at(24, "1", qty=2, raw=[{"source": "x", "data": {"a": 1}}]),
        at(2, "2"),
    ]
    history = bench.again()
    asyncio.run(history.update(NOW, 30.0))
    today, yesterday = at(1, "3").day, at(24, "1").day
    assert sorted(path.name for path in bench.directory.iterdir()) == [
        f"{yesterday}.json", f"{today}.json", "metadata.json",
    ]  # fmt: skip
    assert [(event["id"], event["psize"]) for event in bench.day(today)] == [("2", 3.0), ("3", 2.0)]
    assert list(bench.day(yesterday)[0])[:4] == ["id", "timestamp", "datetime", "symbol"]
    assert bench.metadata() == {
        "last_refresh_ms": NOW, "oldest_event_ts": NOW - DAY_MS, "newest_event_ts": NOW - HOUR_MS,
        "covered_from_ms": NOW - 30 * DAY_MS, "covered_to_ms": NOW, "known_gaps": [],
    }  # fmt: skip
    assert bench.directory.parts[-3:] == ("fill_events", "binance", "alice")
    assert bench.again().events == history.events


def test_unchanged_days_are_not_written(bench: Bench) -> None:
    """Only touched days are written: what is equal keeps its file."""
    bench.source.fills = [at(24, "1"), at(1, "2")]
    asyncio.run(bench.again().update(NOW, 30.0))
    before = {path.name: path.stat().st_mtime_ns for path in bench.directory.iterdir()}
    bench.source.fills.append(at(0.5, "3"))
    asyncio.run(bench.again().update(NOW, 30.0))
    after = {path.name: path.stat().st_mtime_ns for path in bench.directory.iterdir()}
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{at(1, '2').day}.json", "metadata.json"}


@pytest.mark.parametrize("content", ['[{"id": "1"}, ', '{"id": "1"}', '[{"id": "1"}]', "\ufeff\x00", None])
def test_broken_files(bench: Bench, content: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A broken or vanished file costs its day, is logged, and everything is fetched again."""
    bench.source.fills = [at(48, "0"), at(24, "1"), at(1, "2")]
    asyncio.run(bench.again().update(NOW, 30.0))
    path = bench.directory / f"{at(1, '2').day}.json"
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.WARNING):
        history = bench.again()
    assert [event.id for event in history.events] == ["0", "1"]
    assert content is None or str(path) in caplog.text
    asyncio.run(history.update(NOW, 30.0))
    assert bench.source.asked[-1] == (NOW - 30 * DAY_MS, NOW)
    assert [event.id for event in bench.again().events] == ["0", "1", "2"]


@pytest.mark.parametrize("content", ["{", "[]", '{"known_gaps": [[1, 2]]}', '{"covered_from_ms": "x"}'])
def test_broken_metadata(bench: Bench, content: str) -> None:
    """Unusable metadata are made anew."""
    bench.directory.mkdir(parents=True)
    (bench.directory / "metadata.json").write_text(content)
    assert bench.again().metadata == FillMetadata()


# --- refreshing


def test_first_and_later_updates(bench: Bench) -> None:
    """All of the lookback once; then from the 20th newest event or 10 minutes before the end of what is covered."""
    history = bench.again()
    asyncio.run(history.update(NOW, 30.0))
    bench.clock.advance(MINUTE_MS)
    asyncio.run(history.update(NOW + MINUTE_MS, 30.0))
    bench.source.fills = [at(i, f"{40 - i}") for i in range(30)]
    asyncio.run(history.refresh(NOW - DAY_MS * 30, NOW))
    asyncio.run(bench.again().update(NOW + MINUTE_MS, 30.0))
    asyncio.run(bench.again().update(NOW + MINUTE_MS, 31.0))
    assert bench.source.asked == [
        (NOW - 30 * DAY_MS, NOW),
        (NOW - 10 * MINUTE_MS, NOW + MINUTE_MS),
        (NOW - 30 * DAY_MS, NOW),
        (NOW - 19 * HOUR_MS, NOW + MINUTE_MS),
        (NOW + MINUTE_MS - 31 * DAY_MS, NOW + MINUTE_MS),
    ]
    assert bench.metadata()["covered_from_ms"] == NOW + MINUTE_MS - 31 * DAY_MS
    assert bench.source.known[(SYMBOL, "40")] == KnownOrder("0x0004", "entry_grid_normal_long")


def test_few_events(bench: Bench) -> None:
    """With fewer than 20 events the refresh starts at the oldest one."""
    bench.source.fills = [at(50, "1"), at(1, "2")]
    history = bench.again()
    asyncio.run(history.update(NOW, 30.0))
    asyncio.run(history.update(NOW, 30.0))
    asyncio.run(history.refresh_latest(overlap=1))
    assert [start for start, _ in bench.source.asked[1:]] == [NOW - 50 * HOUR_MS, NOW - HOUR_MS]


def test_new_events_are_told_once(bench: Bench) -> None:
    """Unknown trades are handed on with their positions, after a restart none of them again."""
    bench.source.fills = [at(3, "1"), at(2, "2"), at(1, "3")]
    history = bench.again()
    asyncio.run(history.update(NOW, 30.0))
    asyncio.run(history.update(NOW, 30.0))
    bench.source.fills.append(at(2.5, "late"))
    asyncio.run(bench.again().update(NOW, 30.0))
    assert bench.new == [["1", "2", "3"], ["late"]]


def test_interrupted_fetch(bench: Bench) -> None:
    """An error comes through; batches before it are on disk and told; nothing counts as covered until one succeeds."""
    bench.source.fills = [at(3, "1"), at(2, "2"), at(1, "3")]
    bench.source.error = TimeoutError("slow")
    history = bench.again()
    with pytest.raises(TimeoutError):
        asyncio.run(history.update(NOW, 30.0))
    assert [event.psize for event in bench.again().events] == [1.0, 2.0]
    assert history.due(NOW, account_changed=False)
    assert bench.metadata()["covered_to_ms"] is None
    bench.source.error = None
    asyncio.run(bench.again().update(NOW, 30.0))
    assert bench.source.asked[-1][0] == NOW - 30 * DAY_MS
    assert bench.new == [["1", "2"], ["3"]]


def test_when_a_refresh_is_due(bench: Bench) -> None:
    """At the start, when something changed, and after a minute."""
    history = bench.again()
    assert history.due(NOW, account_changed=False)
    asyncio.run(history.update(NOW, 30.0))
    assert [history.due(NOW + ms, account_changed=False) for ms in (0, 59_999, 60_000)] == [False, False, True]
    assert history.due(NOW, account_changed=True)
    assert bench.again().due(NOW, account_changed=False)


def test_ranges(bench: Bench) -> None:
    """Older data and silences of 12 hours are fetched; a silence that stays is left alone after four fetches."""
    bench.source.fills = [at(60, "1"), at(40, "2"), at(39, "3")]
    history = bench.again()
    for event in bench.source.fills:
        asyncio.run(history.refresh_latest(end_ms=event.timestamp))
    history.metadata = FillMetadata()
    bench.source.asked.clear()
    start = NOW - 70 * HOUR_MS
    silence = (NOW - 60 * HOUR_MS, NOW - 40 * HOUR_MS)
    asyncio.run(history.refresh_range(start, NOW))
    assert bench.source.asked == [(start, silence[0]), silence, (silence[0], NOW)]
    assert bench.metadata()["known_gaps"][0]["reason"] == "no_fills"
    for _ in range(4):
        history.metadata = FillMetadata(known_gaps=history.metadata.known_gaps)
        asyncio.run(history.refresh_range(silence[0], NOW))
    assert bench.source.asked.count(silence) == 4
    assert bench.metadata()["known_gaps"][1]["confidence"] == 0.7


def test_covered_ranges(bench: Bench) -> None:
    """What is covered is not fetched again by a range; ranges that meet become one, else the newer counts."""
    bench.source.fills = [at(60, "1"), at(1, "2")]
    history = bench.again()
    asyncio.run(history.refresh_range(NOW - 70 * HOUR_MS, NOW))
    asyncio.run(history.refresh_range(NOW - 70 * HOUR_MS, NOW))
    assert bench.source.asked[1:] == [(NOW - 60 * HOUR_MS, NOW)]
    covered = []
    for span in ((NOW - 90 * HOUR_MS, NOW - 80 * HOUR_MS), (NOW - 75 * HOUR_MS, NOW), (NOW + DAY_MS, NOW + 2 * DAY_MS)):
        asyncio.run(history.refresh(*span))
        covered.append((history.metadata.covered_from_ms, history.metadata.covered_to_ms))
    assert covered == [(NOW - 70 * HOUR_MS, NOW), (NOW - 75 * HOUR_MS, NOW), (NOW + DAY_MS, NOW + 2 * DAY_MS)]


def test_last_change_of_a_position(bench: Bench) -> None:
    """The newest fill of symbol and side."""
    bench.source.fills = [at(3, "1"), at(2, "2"), at(1, "3", position_side="short")]
    history = bench.again()
    asyncio.run(history.update(NOW, 30.0))
    assert history.last_change(SYMBOL, "long") == NOW - 2 * HOUR_MS
    assert history.last_change(SYMBOL, "short") == NOW - HOUR_MS
    assert history.last_change("ETH/USDT:USDT", "long") is None


def test_words_of_the_start(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The line that log monitors wait for."""
    with caplog.at_level(logging.INFO):
        bench.again()
    assert "[fills] initializing FillEventsManager" in caplog.messages
