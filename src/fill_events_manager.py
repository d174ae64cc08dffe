"""The fills of an account, kept on disk and brought up to date: `python3 src/fill_events_manager.py --user U`.

Also the class that the bot and other programs use (`live.md` 17).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core import paths
from core.arguments import add_account, add_cache_dir, add_log_level, tool_parser
from core.clock import DAY_MS, Clock, SystemClock
from core.errors import ConfigError, RunError, UsageError
from core.program import run_program
from core.terms import Pside
from live.fills.book import KnownOrders
from live.fills.history import FillHistory
from live.fills.queries import Wanted
from live.fills.record import FillEvent
from live.fills.source import FillSource, OnBatch
from live.fills.store import FillStore, stored_accounts
from markets.symbols import short_exchange

MOST_DAYS = 10_000
EXAMPLES = """
examples:
  fill_events_manager.py -u bybit_01                        fetch what is new; the last 30 days
  fill_events_manager.py -u bybit_01 -s 2025-01-01 -e 2025-03-31 --summary
  fill_events_manager.py -u bybit_01 -S BTC ETH --csv fills.csv
  fill_events_manager.py -u bybit_01 --no-refresh --json    what is on disk, without asking the exchange

Fills are kept in caches/fill_events/EXCHANGE/USER, a file a day. Times are UTC. Profit is net or gross of fees as the
exchange states it. Exit status: 1 the exchange refuses or cannot be reached, 2 wrong usage or keys, 130 interrupted.
"""


class FillEventsManager(FillHistory):
    """The fills of one account. `load` it once; `update` and `refresh...` then ask the source for what is missing.

    `source` comes from `live.fills.sources.open.open_source`; without one there is only what is on disk. `c_mult`
    gives the contract size of a symbol, `on_new` gets the events of a refresh that were unknown before.
    """

    def __init__(
        self,
        exchange: str,
        user: str,
        source: FillSource | None = None,
        *,
        cache_dir: Path = paths.DEFAULT_CACHE_DIR,
        clock: Clock | None = None,
        c_mult: Callable[[str], float] = lambda symbol: 1.0,
        on_new: Callable[[Sequence[FillEvent]], None] = lambda events: None,
    ) -> None:
        store = FillStore(paths.fills_dir(cache_dir, short_exchange(exchange), user))
        super().__init__(store, source or _NoSource(user), clock or SystemClock(), c_mult=c_mult, on_new=on_new)

    def get_events(
        self,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        symbol: str | None = None,
        pside: Pside | None = None,
    ) -> list[FillEvent]:
        """The known fills from `start_ms` to `end_ms`, both inclusive, ascending in time."""
        wanted = Wanted(start_ms, end_ms, (symbol,) if symbol else (), pside)
        return [event for event in self.events if event in wanted]

    def get_pnl_sum(
        self,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        symbol: str | None = None,
        pside: Pside | None = None,
    ) -> float:
        """What those fills earned, net or gross as the exchange delivers it."""
        return sum(e.pnl for e in self.get_events(start_ms=start_ms, end_ms=end_ms, symbol=symbol, pside=pside))


class _NoSource:
    def __init__(self, user: str) -> None:
        self._user = user

    async def fetch(self, start_ms: int, end_ms: int, known: KnownOrders, on_batch: OnBatch) -> None:
        raise RunError(f"fills of {self._user} cannot be fetched: the manager was opened without a source")


# --- the program


def parser() -> argparse.ArgumentParser:
    p = tool_parser("Shows the fills of an account, and what they earned.", EXAMPLES)
    add_account(p)
    p.add_argument("-s", "--start", metavar="DATE", help="first date, or milliseconds")
    p.add_argument("-e", "--end", metavar="DATE", help="last date (all of that day), or milliseconds; default now")
    p.add_argument("-d", "--lookback-days", type=float, default=30.0, metavar="N", help="without --start (default 30)")
    p.add_argument("-S", "--symbols", nargs="+", default=[], metavar="COIN", help="only these coins")
    p.add_argument(
        "--refresh", action=argparse.BooleanOptionalAction, default=True, help="ask the exchange first (default)"
    )
    shown = p.add_mutually_exclusive_group()
    shown.add_argument("--summary", action="store_true", help="sums by day, coin and order type, without the fills")
    shown.add_argument("--csv", type=Path, metavar="PATH", help="write the fills to a file")
    shown.add_argument("--json", action="store_true", help="print fills and sums as JSON")
    add_cache_dir(p)
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    from core.log import setup as setup_logging
    from live.fills.show import coin_of

    setup_logging(args.debug_level)
    clock = SystemClock()
    start, end = span(args, clock.now_ms())
    exchange = refresh(args, start, clock) if args.refresh else stored_exchange(args.user, args.cache_dir)
    manager = FillEventsManager(exchange, args.user, cache_dir=args.cache_dir, clock=clock)
    manager.load()
    events = manager.get_events(start_ms=start, end_ms=end)
    coins = {coin_of(word) for word in args.symbols}
    show(args, exchange, [event for event in events if not coins or coin_of(event.symbol) in coins])
    return 0


def span(args: argparse.Namespace, now_ms: int) -> tuple[int, int]:
    """First and last millisecond that are wanted. Raises UsageError for an end before the start, or odd days."""
    if not 0.0 < args.lookback_days <= MOST_DAYS:
        raise UsageError(f"--lookback-days is {args.lookback_days:g}: use more than 0, at most {MOST_DAYS}")
    end = now_ms if args.end is None else moment(args.end, last=True)
    start = end - int(args.lookback_days * DAY_MS) if args.start is None else moment(args.start)
    if start > end:
        raise UsageError(f"--start {args.start or start} is after --end {args.end or 'now'}: nothing lies between")
    return start, end


def moment(text: str, *, last: bool = False) -> int:
    """Milliseconds of a date or of digits; the `last` one of a day that is given without a time."""
    from core.dates import date_to_ts

    if text.isdigit() and len(text) > len("20250101"):
        return int(text)
    try:
        start = date_to_ts(text)
    except ConfigError as exc:
        raise UsageError(str(exc)) from exc
    return start + DAY_MS - 1 if last and start % DAY_MS == 0 else start


def refresh(args: argparse.Namespace, since_ms: int, clock: Clock) -> str:
    """Ask the exchange for what is missing; the name of the exchange."""
    import asyncio

    from exchanges.accounts import load_account
    from exchanges.endpoints import load_endpoints
    from live.fills.refreshing import refresh_account  # ccxt takes a second

    account = load_account(args.user, args.api_keys)
    endpoints = load_endpoints(args.custom_endpoints)
    options = {"coins": args.symbols, "cache_dir": args.cache_dir, "clock": clock}
    asyncio.run(refresh_account(account, endpoints, since_ms=since_ms, **options))
    return account.exchange


def stored_exchange(user: str, cache_dir: Path) -> str:
    """The exchange of which the user's fills are on disk. Raises UsageError if there is none, or more than one."""
    root = paths.all_fills_dir(cache_dir)
    exchanges = [exchange for exchange, name in stored_accounts(root) if name == user]
    if len(exchanges) != 1:
        found = f"those of {' and '.join(exchanges)}: show one with --refresh" if exchanges else "none: use --refresh"
        raise UsageError(f"which fills of {user}? Below {root} are {found}")
    return exchanges[0]


def show(args: argparse.Namespace, exchange: str, events: Sequence[FillEvent]) -> None:
    from core.files import write_text
    from live.fills.show import as_csv, as_json, print_tables

    if args.csv:
        write_text(args.csv, as_csv(events))
        sys.stdout.write(f"wrote {len(events):,} fills to {args.csv}\n")
    elif args.json:
        sys.stdout.write(as_json(f"{exchange}:{args.user}", events))
    else:
        print_tables(events, with_fills=not args.summary)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
