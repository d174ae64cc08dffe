"""Accounts that outlive the venue (`exchange_simulator.md` 12)."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from trading_cases import BTC, ETH, KEY, START, Bench, trade_on

from core.clock import HOUR_MS, MINUTE_MS, ManualClock
from core.errors import ConfigError, DataError
from exchange_sim.faults import FaultBook
from exchange_sim.persistence import Persistence, saved_until
from exchange_sim.server import SimConfig, SimServer
from exchange_sim.sources import sample_market
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.interventions import fill_now, jump_balance
from exchange_sim.trading.records import Order, OrderRequest
from exchange_sim.trading.state import dump_account
from exchange_sim.venue import Venue


class HandClock:
    """A clock that runs by itself as far as the venue can tell, and stands where the test put it."""

    def __init__(self, ms: int) -> None:
        self.ms = ms

    def now_ms(self) -> int:
        return self.ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


def running(folder: Path, now_ms: int = START) -> tuple[Venue, Persistence, Engine]:
    """A venue with its accounts as they were left, and Binance's engine."""
    venue = Venue(sample_market(), HandClock(now_ms), FaultBook(), ("binance", "bybit"))
    state = Persistence(venue, folder)
    state.load()
    return venue, state, venue.engine("binance")


def order(engine: Engine, share: float, name: str = "", side: str = "buy") -> Order:
    """A post-only order of the long side at so much of the last price."""
    price = round(engine.quotes.last[BTC] * share, 1)
    request = OrderRequest(BTC, side, "long", "limit", 0.01, price, "post_only", client_id=name)  # type: ignore[arg-type]
    placed = engine.submit(KEY, request, START)
    assert isinstance(placed, Order), placed
    return placed


def traded(folder: Path) -> tuple[Persistence, Engine]:
    """A venue with an account that has a position, an order, settings, and two fills, all saved."""
    _, state, engine = running(folder)
    account = engine.account(KEY)
    account.hedge = True
    account.set_leverage(ETH, 7.0)
    for name in ("a", "b"):
        fill_now(engine, KEY, order(engine, 0.999, name).id, START)
    order(engine, 0.9, "resting")
    state.save()
    return state, engine


def only(folder: Path, name: str) -> Path:
    (path,) = folder.glob(f"binance/*/{name}")
    return path


def test_restart(tmp_path: Path) -> None:
    """Wallet, modes, leverage, positions, orders, ids, client ids and fills are as they were; filled orders too."""
    _, engine = traded(tmp_path)
    before = engine.account(KEY)
    again = running(tmp_path)[2].account(KEY)
    assert dump_account(again) == dump_account(before)
    assert again.fills == before.fills
    found = again.find_order(1)
    assert found is not None
    assert (found.status, found.client_id, found.filled, found.avg) == ("filled", "a", 0.01, before.fills[0].price)
    assert KEY not in str(only(tmp_path, "account.json"))


def test_what_passed_meanwhile(tmp_path: Path) -> None:
    """Candles of the time between are matched, oldest first, as if the venue had been there."""
    _, state, engine = running(tmp_path)
    engine.account(KEY).hedge = True
    for share in (0.9999, 0.999, 0.99):
        order(engine, share)
    state.save()
    later = START + 24 * HOUR_MS
    _, _, absent = running(tmp_path, later)
    venue, state, present = running(tmp_path / "other")
    present.account(KEY).hedge = True
    for share in (0.9999, 0.999, 0.99):
        order(present, share)
    while venue.now_ms() < later:
        venue.clock.ms += MINUTE_MS  # type: ignore[attr-defined]
        venue.settle()

    def told(engine: Engine) -> list[tuple[int, float]]:
        return [(fill.order_id, fill.price) for fill in engine.account(KEY).fills]

    assert told(absent) == told(present) != []
    times = [fill.ts for fill in absent.account(KEY).fills]
    assert times == sorted(times)
    assert times[0] > START
    assert saved_until(tmp_path) == later


def test_nothing_is_matched_twice(tmp_path: Path) -> None:
    """A second restart at the same time changes nothing."""
    _, state, engine = running(tmp_path)
    engine.account(KEY).hedge = True
    order(engine, 0.9999)
    state.save()
    later = START + 6 * HOUR_MS
    first = running(tmp_path, later)[2].account(KEY)
    second = running(tmp_path, later)[2].account(KEY)
    assert first.fills == second.fills != []
    assert dump_account(first) == dump_account(second)


def kills(text: str) -> Iterator[tuple[str, Callable[[Path], Any]]]:
    """What a kill may leave of the last fill and the account that goes with it."""
    *_, last = text.splitlines(keepends=True)
    yield "after the fill", lambda path: path.write_text(text)
    yield "inside its line", lambda path: path.write_text(text[: -len(last) // 2])
    yield "before its line's end", lambda path: path.write_text(text[:-1])
    yield "before it", lambda path: path.write_text(text[: -len(last)])


def test_killed_between_the_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever it was killed, fills and account agree afterwards, and what was not yet told happens again."""
    _, state, engine = running(tmp_path)
    engine.account(KEY).hedge = True
    fill_now(engine, KEY, order(engine, 0.999).id, START)
    order(engine, 0.9999, "next")
    state.save()
    account = only(tmp_path, "account.json").read_text()
    _, _, engine = running(tmp_path, START + HOUR_MS)
    after = engine.account(KEY)
    assert [fill.client_id for fill in after.fills] == ["", "next"]
    fills = only(tmp_path, "fills.jsonl").read_text()
    for where, leave in kills(fills):
        only(tmp_path, "account.json").write_text(account)
        leave(only(tmp_path, "fills.jsonl"))
        _, _, engine = running(tmp_path, START + HOUR_MS)
        assert engine.account(KEY).fills == after.fills, where
        assert dump_account(engine.account(KEY)) == dump_account(after), where
        assert only(tmp_path, "fills.jsonl").read_text() == fills, where


def test_repair_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Dropped fills and a torn line are a warning, and so are fills that have gone."""
    traded(tmp_path)
    path = only(tmp_path, "fills.jsonl")
    whole = path.read_text()
    path.write_text(whole + '{"id": 3, "ord')
    running(tmp_path)
    assert "sim_fills_repaired dropped=0 torn=True" in caplog.text
    assert path.read_text() == whole
    path.write_text("")
    running(tmp_path)
    assert "sim_fills_lost" in caplog.text


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("account.json", lambda text: text[:20], "cannot be read as JSON"),
        ("account.json", lambda text: text.replace("matched_ms", "x"), "matched_ms is None, a time in ms is needed"),
        ("account.json", lambda text: text.replace('"wallet": ', '"wallet": null, "w": '), "has the unknown member w"),
        ("fills.jsonl", lambda text: "nonsense\n" + text, "fills.jsonl is damaged"),
        ("fills.jsonl", lambda text: text.replace('"qty"', '"q"', 1), "fills.jsonl, line 1 lacks qty"),
    ],
)
def test_damage(tmp_path: Path, name: str, change: Callable[[str], str], message: str) -> None:
    """What no kill leaves behind is an error that names the file and the remedy."""
    traded(tmp_path)
    path = only(tmp_path, name)
    path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message) as caught:
        running(tmp_path)
    assert "remove" in str(caught.value) or "delete" in str(caught.value)


def test_only_changes_are_written(tmp_path: Path) -> None:
    """Nothing is written while nothing happens; a setting alone is a change; every account has a folder of its own."""
    state, engine = traded(tmp_path)
    path = only(tmp_path, "account.json")
    stamp = path.stat().st_ino
    state.save()
    assert path.stat().st_ino == stamp
    engine.account(KEY).set_leverage(ETH, 8.0)
    state.save()
    assert path.stat().st_ino != stamp
    jump_balance(engine, "another", 1.0, START)
    state.save()
    assert len(list(tmp_path.glob("binance/*/account.json"))) == 2


def test_disk_that_refuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The venue goes on, says so, and writes everything once it can; half a line never stays."""
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    venue = Venue(sample_market(), HandClock(START), FaultBook(), ("binance",))
    state, engine = Persistence(venue, folder), venue.engine("binance")
    engine.account(KEY).hedge = True
    fill_now(engine, KEY, order(engine, 0.999).id, START)
    with caplog.at_level(logging.ERROR):
        state.save()
    assert "sim_state_not_saved" in caplog.text
    folder.unlink()
    state.save()
    assert json.loads(only(folder, "account.json").read_text())["last_fill_id"] == 1
    assert running(folder)[2].account(KEY).fills == engine.account(KEY).fills


def test_half_a_line_never_stays(tmp_path: Path) -> None:
    """Where only a part of the fills can be written, they are written whole the next time."""
    state, engine = traded(tmp_path)
    path = only(tmp_path, "fills.jsonl")
    fill_now(engine, KEY, order(engine, 0.999, "c").id, START)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
    try:
        state.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(path.read_text().splitlines()) == 2
    state.save()
    assert running(tmp_path)[2].account(KEY).fills == engine.account(KEY).fills


def test_saved_before_it_is_told(tmp_path: Path) -> None:
    """An order that was acknowledged is on disk: a venue killed then still has it."""

    async def case(bench: Bench) -> None:
        placed = await bench.rest.create_order(
            BTC, "limit", "buy", 0.01, bench.price(0.9), {"positionSide": "LONG", "timeInForce": "GTX"}
        )
        saved = json.loads(only(tmp_path, "account.json").read_text())
        assert [row["id"] for row in saved["open_orders"]] == [int(placed["id"])]
        await bench.rest.set_leverage(9, ETH)
        assert json.loads(only(tmp_path, "account.json").read_text())["leverage"] == {ETH: 9.0}
        again = SimServer(SimConfig(clock=HandClock(START), state_dir=tmp_path))
        async with again:
            assert list(again.venue.engine("binance").account(KEY).open_orders) == [int(placed["id"])]

    trade_on("binance", case, clock=HandClock(START), state_dir=tmp_path)


def test_stepped_venues_keep_nothing(tmp_path: Path) -> None:
    """A stepped clock and saved accounts do not go together."""
    with pytest.raises(ConfigError, match="a stepped venue keeps its accounts in memory"):
        SimServer(SimConfig(clock=ManualClock(START), state_dir=tmp_path))
