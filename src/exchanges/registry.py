"""Which adapter serves an exchange; every other exchange that ccxt knows is served by the common one (`live.md` 20)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchanges.account_clients import AccountClients
from exchanges.accounts import Account
from exchanges.binance import Binance
from exchanges.bitget import Bitget
from exchanges.bybit import Bybit
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.defx import Defx
from exchanges.gateio import Gateio
from exchanges.hyperliquid import Hyperliquid
from exchanges.kucoin import Kucoin
from exchanges.okx import Okx
from exchanges.paradex import Paradex
from markets.symbols import short_exchange

ADAPTERS: Mapping[str, type[CcxtExchange]] = {
    "binance": Binance,
    "bitget": Bitget,
    "bybit": Bybit,
    "defx": Defx,
    "gateio": Gateio,
    "hyperliquid": Hyperliquid,
    "kucoin": Kucoin,
    "okx": Okx,
    "paradex": Paradex,
}


def adapter_of(exchange: str) -> type[CcxtExchange]:
    """The adapter of an exchange, by short name or ccxt id."""
    return ADAPTERS.get(short_exchange(exchange), CcxtExchange)


def open_exchange(
    account: Account,
    clients: AccountClients,
    *,
    post_only: bool,
    broker: str | Mapping[str, Any] = "",
    bybit_legacy_balance: bool = False,
) -> CcxtExchange:
    """The adapter of an account over its clients, which it closes with itself."""
    exchange = adapter_of(account.exchange)(account.exchange, clients, account.quote, post_only=post_only)
    if isinstance(exchange, Okx) and isinstance(broker, str):
        exchange.tag = broker
    if isinstance(exchange, Bybit):
        exchange.legacy_balance = bybit_legacy_balance
    return exchange
