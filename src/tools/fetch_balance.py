#!/usr/bin/env python3
"""Shows an account as the bot sees it: balance, positions, open orders. It only reads."""

from __future__ import annotations

import _src_path
import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.arguments import add_account, add_cache_dir, add_log_level, tool_parser
from core.program import run_program

if TYPE_CHECKING:
    from exchanges.protocol import HeldPosition, Key, OpenOrder, Ticker

EXAMPLES = """
examples:
  fetch_balance.py --user bybit_01
  fetch_balance.py --user bybit_01 --json        the balance as ccxt has it

Exit status: 1 the exchange refuses or cannot be reached, 2 wrong usage or keys, 130 interrupted.
"""

POSITION_HEADS = ("symbol", "side", "size", "entry", "last", "open profit", "exposure")
ORDER_HEADS = ("symbol", "side", "order", "qty", "price", "away", "type", "id")


@dataclass(frozen=True, slots=True)
class View:
    """An account at one moment. `raw` is ccxt's balance; `c_mults` are the contract sizes of the symbols in it."""

    name: str
    quote: str
    balance: float
    positions: Mapping[Key, HeldPosition]
    orders: Sequence[OpenOrder]
    tickers: Mapping[str, Ticker]
    c_mults: Mapping[str, float]
    raw: Mapping[str, Any]


def parser() -> argparse.ArgumentParser:
    p = tool_parser(__doc__, EXAMPLES)
    add_account(p)
    p.add_argument("--json", action="store_true", help="the balance as ccxt has it, as JSON")
    add_cache_dir(p)
    add_log_level(p)
    return p


def main(argv: Sequence[str]) -> int:
    args = parser().parse_args(argv)
    from core.log import setup as setup_logging

    setup_logging(args.debug_level)
    view = asyncio.run(look(args))
    if args.json:
        sys.stdout.write(json.dumps(view.raw, indent=4, sort_keys=True, default=str) + "\n")
    else:
        show(view)
    return 0


async def look(args: argparse.Namespace) -> View:
    """Ask the exchange."""
    from core.clock import SystemClock
    from exchanges.accounts import load_account
    from exchanges.connect import connected  # ccxt takes a second
    from exchanges.endpoints import load_endpoints

    account = load_account(args.user, args.api_keys)
    endpoints = load_endpoints(args.custom_endpoints)
    async with connected(account, endpoints, args.cache_dir, SystemClock()) as exchange:
        balance = await exchange.fetch_balance()
        raw = await exchange.rest.fetch_balance() if args.json else {}
        positions = await exchange.fetch_positions()
        orders = await exchange.fetch_open_orders()
        symbols = {symbol for symbol, _ in positions} | {order.symbol for order in orders}
        tickers = await exchange.fetch_tickers(symbols) if symbols else {}
        c_mults = {symbol: float(exchange.rest.market(symbol).get("contractSize") or 1.0) for symbol in symbols}
    name = f"{account.exchange}:{account.user}"
    return View(name, account.quote, balance, positions, orders, tickers, c_mults, raw)


def show(view: View) -> None:
    """Print three tables."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 200
    console.print(f"{view.name}  balance {view.balance:,.4f} {view.quote}", highlight=False)
    positions = [position_row(view, key, held) for key, held in sorted(view.positions.items())]
    print_table(console, "Positions", POSITION_HEADS, positions)
    print_table(console, "Open orders", ORDER_HEADS, [order_row(view, order) for order in view.orders])


def position_row(view: View, key: Key, held: HeldPosition) -> tuple[str, ...]:
    import passivbot_rust

    symbol, pside = key
    c_mult, last = view.c_mults[symbol], view.tickers[symbol].last if symbol in view.tickers else None
    pnl = passivbot_rust.calc_pnl_long if pside == "long" else passivbot_rust.calc_pnl_short
    profit = "" if last is None else f"{pnl(held.price, last, held.size, c_mult):+,.4f}"
    exposure = passivbot_rust.calc_wallet_exposure(c_mult, view.balance, abs(held.size), held.price)
    return symbol, pside, f"{held.size:g}", f"{held.price:g}", shown(last), profit, f"{exposure:.4f}"


def order_row(view: View, order: OpenOrder) -> tuple[str, ...]:
    from live.orders.order_ids import order_type_of

    last = view.tickers[order.symbol].last if order.symbol in view.tickers else None
    away = f"{order.price / last - 1.0:+.2%}" if last else ""
    kind = order_type_of(order.custom_id)
    return order.symbol, order.pside, order.side, f"{order.qty:g}", f"{order.price:g}", away, kind, order.id


def shown(number: float | None) -> str:
    return "" if number is None else f"{number:g}"


def print_table(console: Any, title: str, heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    if not rows:
        console.print(f"{title}: none")
        return
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=title, title_justify="left")
    for number, head in enumerate(heads):
        table.add_column(head, no_wrap=True, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    sys.exit(run_program(main, sys.argv[1:]))
