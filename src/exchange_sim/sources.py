"""Where a venue's instruments and candles come from: the sample market, the candle store, a directory of files."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

import numpy as np

from candles.disk.store import CandleStore
from candles.fill import sort_candles, standardize_gaps
from candles.importing.reader import ReadOptions, is_candle_file, read_candles
from candles.importing.settings import read_settings
from core.clock import DAY_MS, MINUTE_MS, Clock
from core.dates import ts_to_date
from core.errors import ConfigError, DataError
from exchange_sim.market import Instrument, VenueMarket
from markets import sample
from markets.candle import CANDLE_DTYPE, Candles
from markets.market import market_of, read_markets
from markets.symbols import guess_coin

logger = logging.getLogger(__name__)

_END_OF_TIME = 2**62
CHUNK_MS, CHUNKS_IN_MEMORY = 16 * DAY_MS, 16  # who reads day after day opens each file once; a chunk takes 1.5 MB


def sample_market(seed: int = 0) -> VenueMarket:
    """The built-in synthetic market; `seed` 0 is the exchange `sample`."""
    items = [
        Instrument(entry["id"], market_of(entry, sample.EXCHANGE), entry["created"])
        for entry in sample.ccxt_markets().values()
    ]
    return VenueMarket(items, lambda symbol, start, end: sample.candles(symbol, start, end, seed), sample.DATA_NOTE)


def store_market(cache_dir: Path, exchange: str, clock: Clock) -> VenueMarket:
    """The markets of an exchange that have candles in the store. Raises DataError if there are none."""
    source = StoreSource(cache_dir, exchange, clock)
    listed = read_markets(cache_dir, exchange)
    firsts = {symbol: source.first_ts(symbol) for symbol in listed}
    items = [
        Instrument(str(entry.get("id") or symbol), market_of(entry, exchange), first)
        for symbol, entry in listed.items()
        if (first := firsts[symbol]) is not None
    ]
    if not items:
        raise DataError(
            f"no candles of {exchange} below {source.store.root}{_others(cache_dir)}; download or import some"
        )
    return VenueMarket(items, source.minutes, f"candles of {exchange} from {source.store.root}", source.last_ts)


def _others(cache_dir: Path) -> str:
    """Half a sentence on whose candles there are."""
    found = sorted(path.name for path in (cache_dir / "ohlcv").glob("*") if path.is_dir())
    return f" (there are some of {', '.join(found)})" if found else ""


def directory_market(folder: Path, settings: Path | None, clock: Clock) -> VenueMarket:
    """The coins of a directory of candle files, named after them.

    Steps, minima and fees come from `settings` (the file that `import_candles.py` takes), else from the built-in table
    of the sample market. Raises ConfigError for a coin that neither knows, DataError for a file that cannot be read.
    """
    known = {coin: market_of(entry, sample.EXCHANGE) for coin, entry in _sample_entries().items()}
    if settings is not None:
        known |= {coin: item.market for coin, item in read_settings(settings, "local").items()}
    rows: dict[str, list[Candles]] = {}
    items: dict[str, Instrument] = {}
    for path in sorted(path for path in folder.rglob("*") if is_candle_file(path)):
        coin = guess_coin(path.name.split(".")[0].split("-")[0].split("_")[0])
        if coin not in known:
            raise ConfigError(f"{path}: no settings of coin {coin!r}; give them in a market settings file")
        market = known[coin]
        part, _ = read_candles(path, ReadOptions(), market.c_mult, clock.now_ms())
        rows.setdefault(market.symbol, []).append(part)
        items[coin] = Instrument(f"{market.base}{market.quote}", market, 0)
    if not items:
        raise DataError(f"no candle files in {folder}; name one a coin, such as BTC.csv")
    whole = {symbol: standardize_gaps(np.concatenate(parts)) for symbol, parts in rows.items()}
    listed = [Instrument(i.id, i.market, int(whole[i.symbol]["ts"][0])) for i in items.values()]
    source = ArraySource(whole)
    return VenueMarket(listed, source.minutes, f"candles of {folder}", source.last_ts)


def _sample_entries() -> dict[str, dict[str, object]]:
    return {str(entry["base"]): entry for entry in sample.ccxt_markets().values()}


class ArraySource:
    """Candles in memory, `{symbol: ascending rows without gaps}`."""

    def __init__(self, rows: dict[str, Candles]) -> None:
        self.rows = rows

    def first_ts(self, symbol: str) -> int | None:
        return int(self.rows[symbol]["ts"][0]) if len(self.rows[symbol]) else None

    def last_ts(self, symbol: str) -> int:
        return int(self.rows[symbol]["ts"][-1])

    def minutes(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        rows = self.rows[symbol]
        inside: Candles = rows[np.searchsorted(rows["ts"], start_ts) : np.searchsorted(rows["ts"], end_ts, "right")]
        return inside


class StoreSource:
    """Candles of the store; a missing minute repeats the close before it, nothing follows the last row."""

    def __init__(self, cache_dir: Path, exchange: str, clock: Clock) -> None:
        self.store = CandleStore(cache_dir, exchange, clock)
        self._last: dict[str, int] = {}
        self._chunk = lru_cache(maxsize=CHUNKS_IN_MEMORY)(self._load_chunk)

    def first_ts(self, symbol: str) -> int | None:
        return self.store.read_meta(symbol).first_seen_ts if self.store.files(symbol) else None

    def last_ts(self, symbol: str) -> int:
        """The last stored minute; -1 without any."""
        if symbol not in self._last:
            newest = self.store.read_last_before(symbol, _END_OF_TIME)
            self._last[symbol] = int(newest["ts"][0]) if len(newest) else -1
            logger.debug("sim_candles symbol=%s last=%s", symbol, ts_to_date(self._last[symbol]))
        return self._last[symbol]

    def minutes(self, symbol: str, start_ts: int, end_ts: int) -> Candles:
        end = min(end_ts, self.last_ts(symbol))
        if end < start_ts:
            return np.empty(0, CANDLE_DTYPE)
        chunks = [self._chunk(symbol, number) for number in range(start_ts // CHUNK_MS, end // CHUNK_MS + 1)]
        rows = np.concatenate(chunks)
        inside: Candles = rows[np.searchsorted(rows["ts"], start_ts) : np.searchsorted(rows["ts"], end, "right")]
        return inside

    def _load_chunk(self, symbol: str, number: int) -> Candles:
        start, end = number * CHUNK_MS, min((number + 1) * CHUNK_MS - MINUTE_MS, self.last_ts(symbol))
        rows = sort_candles(np.concatenate((self.store.read_last_before(symbol, start),
                                            self.store.read(symbol, start, end))))  # fmt: skip
        return standardize_gaps(rows, start_ts=start, end_ts=end, assume_sorted=True)
