"""Paper trading on candles that are at hand: the store, a replay of it, a directory (`exchange_simulator.md` 2, 4)."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from bots import PAPER, PaperBot, account, comes_true, is_running, orders, positions
from local_venue import VenueThread
from programs import run_program

from candles.disk.store import CandleStore
from core.clock import DAY_MS, MINUTE_MS, SystemClock
from core.dates import date_to_ts, ts_to_date
from markets import sample
from markets.candle import Candles

COINS = ("BTC", "DOGE", "SOL", "XRP")  # Binance's time is asked for by the ticker of BTC
FIRST, DAYS = date_to_ts("2025-02-01"), 40
POST = r"\[order\] post [A-Z]+/USDT:USDT: "
YOUNG = ("--live.minimum_coin_age_days", "0")  # the candles begin shortly before


def candles(coin: str) -> Candles:
    """Those of the sample market, of 40 days in 2025."""
    return sample.candles(f"{coin}/USDT:USDT", FIRST, FIRST + DAYS * DAY_MS - MINUTE_MS, 0)


def fill_store(cache_dir: Path, exchange: str = "bybit") -> None:
    store = CandleStore(cache_dir, exchange, SystemClock())
    for coin in COINS:
        store.write(f"{coin}/USDT:USDT", candles(coin))
    (cache_dir / exchange).mkdir(parents=True)
    (cache_dir / exchange / "markets.json").write_text(json.dumps(sample.ccxt_markets()))


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and the time it was written."""
    stats = {path: path.stat() for path in folder.rglob("*") if path.is_file() and "paper" not in path.parts}
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}


def fill_dates(cwd: Path) -> list[str]:
    """When the fills of the paper account happened."""
    (file,) = cwd.rglob("fills.jsonl")
    return [ts_to_date(json.loads(line)["ts"]) for line in file.read_text().splitlines()]


def eager(folder: Path) -> Path:
    """A config whose first entries are close enough to the price to be filled soon."""
    config = json.loads(PAPER.read_text())
    for side in ("long", "short"):
        config["bot"][side] |= {"entry_initial_ema_dist": -0.05}
    config["live"]["market_orders_allowed"] = True
    path = folder / "eager.json"
    path.write_text(json.dumps(config))
    return path


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
def test_cache(protocol: str, tmp_path: Path) -> None:
    """The store's candles as of today: orders come, the real caches are only read, the venue ends with the bot."""
    real = tmp_path / "caches"
    fill_store(real, protocol)
    before = tree(real)
    with PaperBot(tmp_path, protocol, "--paper-data", "cache") as bot:
        told = bot.wait_for(r"\[boot\] market: ")
        assert f"candles of {protocol} from " in told
        assert "2025-02-11T00:00:00 to 2025-03-12T23:59:00 over and over, shown as of today" in told
        bot.wait_for(POST)
        assert "SYNTHETIC" not in bot.text
        assert bot.send(signal.SIGTERM) == 0
        assert "ERROR" not in bot.text
        assert bot.venue is not None
        assert comes_true(lambda: not is_running(bot.venue or 0))
    assert tree(real) == before
    assert set(real.iterdir()) == {real / "ohlcv", real / protocol, real / "paper"}


def test_directory(tmp_path: Path) -> None:
    """Candle files of one's own; another directory is another market, which the account does not take."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for coin in COINS:
        rows = [",".join(map(str, row[:6])) for row in candles(coin)[-5 * 1440 :].tolist()]
        (folder / f"{coin}.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows]))
    with PaperBot(tmp_path, "--paper-data", "mine") as bot:
        assert "candles of mine, 2025-03-08T00:00:00 to 2025-03-12T23:59:00" in bot.wait_for(r"\[boot\] market: ")
        bot.wait_for(POST)
        assert bot.send(signal.SIGTERM) == 0
        assert "ERROR" not in bot.text
    assert not (tmp_path / "caches" / "ohlcv").exists()
    for changed, words in [
        (("--paper-data", "sample"), "data 'mine', not 'sample'"),
        (("--paper-data", "mine", "--paper-seed", "3"), "data_seed 0, not 3"),
        (("--paper-data", "mine", "--paper-start", "2025-03-09"), "redate_from '', not '2025-03-09'"),
    ]:
        told = run_program("main.py", PAPER, "--paper", *changed, cwd=tmp_path, expect=2).stderr
        assert f"started with {words}: forget it with --paper-reset" in told


def test_replay(tmp_path: Path) -> None:
    """Time is that of the candles, and runs as fast as it is told to; a restart goes on where it was."""
    fill_store(tmp_path / "caches")
    config = eager(tmp_path)
    words = ("--paper-data", "replay", "--paper-start", "2025-03-01T06:00", "--paper-speed", "60", *YOUNG)
    with PaperBot(tmp_path, *words, config=config) as bot:
        bot.wait_for(POST)
        assert comes_true(lambda: bool(list(tmp_path.rglob("fills.jsonl"))))
        bot.wait_for(r"\[fill\] ")
        assert bot.send(signal.SIGTERM) == 0
        assert "ERROR" not in bot.text
    first = fill_dates(tmp_path)
    assert all(date.startswith("2025-03-0") for date in first)
    left = account(tmp_path)["matched_ms"]
    assert left > date_to_ts("2025-03-01T06:00")
    kept = positions(tmp_path), orders(tmp_path)
    assert kept[0]
    with PaperBot(tmp_path, *words, config=config) as bot:
        begun = re.search(r"it is (\S+) there", bot.wait_for(r"\[boot\] market: "))
        assert begun
        assert date_to_ts(begun[1]) >= left
        bot.wait_for(r"\[health\] ")
        assert bot.send(signal.SIGTERM) == 0
    assert account(tmp_path)["matched_ms"] > left
    assert fill_dates(tmp_path)[: len(first)] == first
    told = run_program(
        "main.py", config, "--paper", *words[:2], "--paper-start", "2025-03-02", cwd=tmp_path, expect=2
    ).stderr
    assert "started with start '2025-03-01T06:00', not '2025-03-02': forget it with --paper-reset" in told


def test_end_of_a_replay(tmp_path: Path) -> None:
    """Where the candles end, or at --paper-end, venue and bot do too; another start says how to begin anew."""
    fill_store(tmp_path / "caches")
    words = ("--paper-data", "replay", "--paper-start", "2025-03-01", "--paper-end", "2025-03-01T00:10", *YOUNG)
    with PaperBot(tmp_path, *words, "--paper-speed", "60") as bot:
        bot.wait_for(r"\[shutdown\] the simulated exchange has ended \(over: there are no later candles\)")
        assert bot.end() == 0
        assert "Traceback" not in bot.text
    told = run_program("main.py", PAPER, "--paper", *words, cwd=tmp_path, expect=2).stderr
    assert "candles end 2025-03-01T00:10:00; choose an earlier start" in told
    assert "--paper-reset" in told


@pytest.mark.parametrize("protocol", ["bybit", "binance"])
def test_live(protocol: str, tmp_path: Path, venue: VenueThread) -> None:
    """Prices of the real exchange, orders of ours: the former is asked for public data only."""
    endpoints = venue.write_endpoints(tmp_path / "endpoints.json")
    words = (protocol, "--paper-data", "live", "--custom-endpoints", endpoints)
    with PaperBot(tmp_path, *words, config=eager(tmp_path)) as bot:
        assert f"live prices of {protocol}" in bot.wait_for(r"\[boot\] market: ")
        bot.wait_for(POST)
        bot.wait_for(r"\[fill\] ")
        assert bot.send(signal.SIGTERM) == 0
        assert "ERROR" not in bot.text
    asked = {record.path for record in venue.sim.requests}
    public = {"binance": "/fapi/v1/(time|exchangeInfo|klines|ticker/24hr)", "bybit": "/v5/market/.*"}[protocol]
    assert asked
    assert all(re.fullmatch(public, path) for path in asked), asked
    assert not venue.sim.venue.engine(protocol).accounts
    assert positions(tmp_path)
    assert [path.name for path in (tmp_path / "caches").iterdir()] == ["paper"]


def test_live_out_of_reach(tmp_path: Path) -> None:
    """Without the exchange there are no live prices: one line, and a remedy."""
    nowhere = {"rest": {"rewrite_domains": {"https://api.bybit.com": "http://127.0.0.1:9"}}}
    (tmp_path / "endpoints.json").write_text(json.dumps({"exchanges": {"bybit": nowhere}}))
    words = (PAPER, "--paper", "--paper-data", "live", "--custom-endpoints", "endpoints.json")
    told = run_program("main.py", *words, cwd=tmp_path, expect=1).stderr
    assert "error: the simulated exchange: the markets of bybit could not be fetched" in told
    assert "--paper-data sample" in told
