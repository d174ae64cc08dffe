"""The fill events manager: its queries, its program, what it prints."""

from __future__ import annotations

import asyncio
import csv
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

import fill_events_manager
from core.clock import DAY_MS, HOUR_MS, ManualClock
from core.dates import date_to_ts
from core.errors import RunError, UsageError
from core.program import run_program
from fill_events_manager import FillEventsManager, moment, span
from live.fills.queries import Total, Wanted, fees_of, totals
from live.fills.record import FillEvent
from test_fill_history import FakeSource
from test_fill_records import fill

BTC, PEPE = "BTC/USDT:USDT", "1000PEPE/USDT:USDT"
DAY = date_to_ts("2026-03-01")
GRID = {"pb_order_type": "entry_grid_normal_long"}
CLOSE = {"side": "sell", "pb_order_type": "close_grid_long"}


def fills() -> list[FillEvent]:
    """Two days, two coins, both sides."""
    return [
        fill(id="1", timestamp=DAY, symbol=BTC, side="buy", qty=2.0, price=100.0, pnl=0.0, **GRID),
        fill(id="2", timestamp=DAY + HOUR_MS, symbol=BTC, qty=1.0, price=110.0, pnl=10.0, **CLOSE),
        fill(id="3", timestamp=DAY + DAY_MS, symbol=PEPE, side="buy", position_side="short", qty=5.0, price=2.0,
             pnl=-4.0, fees={"currency": "BNB", "cost": 0.5}, pb_order_type=""),
    ]  # fmt: skip


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A cache directory with those fills of bybit's alice."""
    manager = FillEventsManager("bybit", "alice", FakeSource(fills()), cache_dir=tmp_path, clock=ManualClock(DAY))
    manager.load()
    asyncio.run(manager.refresh(DAY, DAY + DAY_MS))
    return tmp_path


def run(stored: Path, *words: str) -> int:
    argv = ["-u", "alice", "--no-refresh", "--cache-dir", str(stored), "-s", "2026-03-01", *words]
    return run_program(fill_events_manager.main, argv)


def test_events(stored: Path) -> None:
    """By time (both ends count), symbol and side; their profit; the last change of a position."""
    manager = FillEventsManager("bybit", "alice", cache_dir=stored)
    manager.load()

    def ids(**wanted: Any) -> str:
        return "".join(event.id for event in manager.get_events(**wanted))

    assert ids() == "123"
    assert ids(start_ms=DAY + HOUR_MS, end_ms=DAY + DAY_MS) == "23"
    assert ids(end_ms=DAY + HOUR_MS) == "12"
    assert (ids(symbol=PEPE), ids(pside="long"), ids(symbol=BTC, pside="short")) == ("3", "12", "")
    assert (manager.get_pnl_sum(), manager.get_pnl_sum(symbol=BTC)) == (6.0, 10.0)
    assert manager.last_change(BTC, "long") == DAY + HOUR_MS
    assert (manager.events[1].psize, manager.events[1].pprice) == (1.0, 100.0)


def test_without_source(stored: Path) -> None:
    """What was opened to read refuses to fetch."""
    manager = FillEventsManager("binanceusdm", "alice", cache_dir=stored)
    with pytest.raises(RunError, match="opened without a source"):
        asyncio.run(manager.refresh(0, 1))


def test_totals() -> None:
    """Sums by name in order of names; fees by currency, lists and nothing included."""
    events = [*fills(), fill(id="4", timestamp=DAY, fees=[{"currency": "BNB", "cost": 1.0}, {"cost": 2}])]
    assert fees_of(events[2:]) == {"BNB": 1.5, "?": 2.0}
    assert fees_of([fill(fees=None)]) == {}
    by_day = totals(fills(), lambda event: event.day)
    assert [(group.name, group.fills, group.pnl) for group in by_day] == [
        ("2026-03-01", 2, 10.0),
        ("2026-03-02", 1, -4),
    ]
    assert by_day[1] == Total("2026-03-02", 1, -4.0, {"BNB": 0.5})
    assert fills()[0] in Wanted(symbols=(BTC,), pside="long")


def test_tables(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The fills and what they came to; with `--summary` only the sums."""
    assert run(stored) == 0
    text = capsys.readouterr().out
    for words in (
        "2026-03-01T01:00:00",
        "close_grid_long",
        "1 @ 100",
        "By day",
        "By coin",
        "PEPE",
        "unknown",
        "+6.0000",
    ):
        assert words in text
    assert run(stored, "--summary") == 0
    text = capsys.readouterr().out
    assert "2026-03-01T01:00:00" not in text and "By order type" in text


def test_json_and_csv(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All fields but the exchange's own records; only the coins that are wanted."""
    assert run(stored, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["account"], content["total"]["pnl"], len(content["fills"])) == ("bybit:alice", 6.0, 3)
    assert [group["name"] for group in content["by"]["coin"]] == ["BTC", "PEPE"]
    path = tmp_path / "out" / "fills.csv"
    assert run(stored, "-S", "PEPE", "--csv", str(path)) == 0
    (row,) = csv.DictReader(path.read_text().splitlines())
    assert (row["symbol"], row["qty"], json.loads(row["fees"])) == (PEPE, "5.0", {"currency": "BNB", "cost": 0.5})
    assert "raw" not in row


def test_whose_fills(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user without fills, or with fills of two exchanges, is told what to do; names are no paths."""
    assert (
        run_program(fill_events_manager.main, ["-u", "../bybit/alice", "--no-refresh", "--cache-dir", str(stored)]) == 2
    )
    assert "are none: use --refresh" in capsys.readouterr().err
    twin = FillEventsManager("okx", "alice", FakeSource(fills()), cache_dir=stored, clock=ManualClock(DAY))
    asyncio.run(twin.refresh(DAY, DAY))
    assert run(stored) == 2
    assert "bybit and okx" in capsys.readouterr().err


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dates that are none, an end before its start, keys that are missing: status 2 and one line."""
    for words, told in (
        (("-s", "yesterday"), "Unable to parse date"),
        (("-d", "nan"), "--lookback-days is nan"),
        (("-d", "-1"), "--lookback-days is -1"),
        (("-s", "2026-03-02", "-e", "2026-03-01T12:00"), "nothing lies between"),
        (("--api-keys", str(tmp_path / "none.json")), "error loading api keys file"),
    ):
        assert run_program(fill_events_manager.main, ["-u", "alice", "--cache-dir", str(tmp_path), *words]) == 2
        assert told in capsys.readouterr().err


def test_span() -> None:
    """The last day counts whole; without a start the days before the end; milliseconds are taken as they are."""
    args = Namespace(start=None, end="2026-03-02", lookback_days=1.5)
    assert span(args, 0) == (DAY + 2 * DAY_MS - 1 - 36 * HOUR_MS, DAY + 2 * DAY_MS - 1)
    assert moment(str(DAY + 5)) == DAY + 5
    assert moment("2026-03-01T10:00", last=True) == DAY + 10 * HOUR_MS
    with pytest.raises(UsageError):
        moment("nothing")
