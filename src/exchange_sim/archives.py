"""The public archives, under `/archive/{their host}/{their path}` (`candles.md` 12.1).

A day's or month's file is there once it is over; before that, before the launch and for unknown names it is 404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from aiohttp import web

from core.clock import DAY_MS, MINUTE_MS
from core.dates import date_to_ts, ts_to_date
from core.errors import ConfigError
from exchange_sim import archive_files as files
from exchange_sim.faults import Fault, spoil
from exchange_sim.klines import INTERVALS
from exchange_sim.market import Instrument
from exchange_sim.venue import FAULT, Venue
from markets.candle import Candles

PREFIX = "/archive/"
HOSTS = ("data.binance.vision", "public.bybit.com", "img.bitgetimg.com", "historical-data.kucoin.com")
CHECKSUM_SUFFIX = ".CHECKSUM"
HEADER_SINCE = "2022-01-01"  # older Binance files start with data
BITGET_NEW_SINCE = "2024-04-19"
FILES_IN_MEMORY = 64

_BINANCE = "/archive/data.binance.vision/data/futures/um"
_KUCOIN = "/archive/historical-data.kucoin.com/data/futures/daily/klines"
_DAY = r"{day:\d{4}-\d{2}-\d{2}}"

Pack = Callable[[Candles, Instrument, str], bytes]


@dataclass(frozen=True, slots=True)
class Packing:
    """How one archive packs a period: `pack(rows, instrument, file name without suffix)`."""

    pack: Pack
    content_type: str = "application/zip"


def _binance(rows: Candles, item: Instrument, name: str) -> bytes:
    header = len(rows) > 0 and int(rows["ts"][0]) >= date_to_ts(HEADER_SINCE)
    return files.zipped(f"{name}.csv", files.binance_csv(rows, item, header=header))


def _bitget_old(rows: Candles, item: Instrument, name: str) -> bytes:
    return files.zipped(f"{name}.xlsx", files.bitget_xlsx(rows, seconds=True))


def _bitget_new(rows: Candles, item: Instrument, name: str) -> bytes:
    return files.zipped(f"{name}.xlsx", files.bitget_xlsx(rows, seconds=False))


BINANCE = Packing(_binance)
BYBIT = Packing(lambda rows, item, name: files.gzipped(files.bybit_trades_csv(rows, item)), "application/gzip")
BITGET_OLD, BITGET_NEW = Packing(_bitget_old), Packing(_bitget_new)
KUCOIN = Packing(lambda rows, item, name: files.zipped(f"{name}.csv", files.kucoin_csv(rows, item)))


class Archives:
    """Routes of all archives over one venue's market."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self._by_kucoin_id = {kucoin_id(item): item for item in venue.market.by_id.values()}
        self._kept = lru_cache(maxsize=FILES_IN_MEMORY)(lambda version, *file: self._pack(*file))

    def routes(self) -> list[web.RouteDef]:
        binance = r"{name:[A-Z0-9]+}-1m-{day:[\d-]+}.zip"
        return [
            web.get(f"{_BINANCE}/daily/klines/{{symbol}}/1m/{binance}", self.binance),
            web.get(f"{_BINANCE}/daily/klines/{{symbol}}/1m/{binance}{CHECKSUM_SUFFIX}", self.binance_checksum),
            web.get(f"{_BINANCE}/monthly/klines/{{symbol}}/1m/{binance}", self.binance),
            web.get(f"{_BINANCE}/monthly/klines/{{symbol}}/1m/{binance}{CHECKSUM_SUFFIX}", self.binance_checksum),
            web.get("/archive/public.bybit.com/trading/{symbol}/", self.bybit_listing),
            web.get(f"/archive/public.bybit.com/trading/{{symbol}}/{{name:[A-Z0-9]+?}}{_DAY}.csv.gz", self.bybit),
            web.get(
                r"/archive/img.bitgetimg.com/online/kline/{symbol}/{name:[A-Z0-9]+}_UMCBL_1min_{day:\d{8}}.zip",
                self.bitget_old,
            ),
            web.get(r"/archive/img.bitgetimg.com/online/kline/{symbol}/UMCBL/{day:\d{8}}.zip", self.bitget_new),
            web.get(f"{_KUCOIN}/{{symbol}}/1m/{{name:[A-Z0-9]+}}-1m-{_DAY}.zip", self.kucoin),
        ]

    async def binance(self, request: web.Request) -> web.Response:
        return self._file(request, BINANCE)

    async def binance_checksum(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2].removesuffix(CHECKSUM_SUFFIX)
        item, span = self._asked(request)
        line = files.checksum_line(self._kept(self.venue.market.version, item, span, BINANCE, _stem(name)), name)
        fault = request.get(FAULT)
        if fault is not None and fault.action == "checksum":
            line = files.checksum_line(b"other content", name)
        return web.Response(text=line)

    async def bybit(self, request: web.Request) -> web.Response:
        return self._file(request, BYBIT)

    async def bybit_listing(self, request: web.Request) -> web.Response:
        """The page that names all files of a symbol."""
        item = self._instrument(request)
        days = range(item.launch_ms // DAY_MS, self.venue.now_ms() // DAY_MS)
        names = [f"{item.id}{ts_to_date(day * DAY_MS)[:10]}.csv.gz" for day in days]
        rows = "\n".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
        title = f"Index of /trading/{item.id}/"
        page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><ul>\n{rows}\n</ul></body></html>\n"
        return web.Response(text=page, content_type="text/html")

    async def bitget_old(self, request: web.Request) -> web.Response:
        return self._bitget(request, BITGET_OLD, new=False)

    async def bitget_new(self, request: web.Request) -> web.Response:
        return self._bitget(request, BITGET_NEW, new=True)

    def _bitget(self, request: web.Request, packing: Packing, *, new: bool) -> web.Response:
        """Each day is at one of the two paths only."""
        if (_span(request.match_info["day"])[0] >= date_to_ts(BITGET_NEW_SINCE)) != new:
            raise web.HTTPNotFound
        return self._file(request, packing)

    async def kucoin(self, request: web.Request) -> web.Response:
        return self._file(request, KUCOIN)

    def _file(self, request: web.Request, packing: Packing) -> web.Response:
        item, span = self._asked(request)
        stem = _stem(request.path.rpartition("/")[2])
        fault = request.get(FAULT)
        if fault is None:
            content = self._kept(self.venue.market.version, item, span, packing, stem)
        else:
            content = self._pack(item, span, packing, stem, fault)
        if fault is not None and fault.action == "truncated":
            content = content[: int(len(content) * float(fault.parameters["share"]))]
        return web.Response(body=content, content_type=packing.content_type)

    def _asked(self, request: web.Request) -> tuple[Instrument, tuple[int, int]]:
        """The instrument and the period of a file name. Raises HTTPNotFound for what does not exist, or not yet."""
        item = self._instrument(request)
        start, end = _span(request.match_info["day"])
        if request.match_info.get("name", request.match_info["symbol"]) != request.match_info["symbol"]:
            raise web.HTTPNotFound
        if end > self.venue.now_ms() or end <= item.launch_ms:
            raise web.HTTPNotFound
        return item, (start, end)

    def _instrument(self, request: web.Request) -> Instrument:
        known = self._by_kucoin_id if request.path.startswith(_KUCOIN) else self.venue.market.by_id
        item = known.get(request.match_info["symbol"])
        if item is None or self.venue.feed is not None:  # candles that pass through are in no archive
            raise web.HTTPNotFound
        return item

    def _pack(  # the last argument makes a file that is not kept
        self, item: Instrument, span: tuple[int, int], packing: Packing, stem: str, fault: Fault | None = None
    ) -> bytes:
        rows = self.venue.market.finished(item, span[0], span[1] - MINUTE_MS)
        return packing.pack(spoil(rows, fault, item, self.venue.now_ms()), item, stem)


def kucoin_id(item: Instrument) -> str:
    """KuCoin's name of a contract: `XBTUSDTM`."""
    base = "XBT" if item.market.base == "BTC" else item.market.base
    return f"{base}{item.market.quote}M"


def _stem(name: str) -> str:
    return name.removesuffix(".zip").removesuffix(".csv.gz")


def _span(text: str) -> tuple[int, int]:
    """First minute and end of `2024-05-01`, `20240501` or `2024-05`. Raises HTTPNotFound for what is no date."""
    try:
        if len(text) == 7:
            start = date_to_ts(f"{text}-01")
            return start, INTERVALS["1M"].shift(start, 1)
        start = date_to_ts(text)
    except ConfigError:
        raise web.HTTPNotFound from None
    return start, start + DAY_MS
