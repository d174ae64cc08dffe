"""Which adapter and which source of fills serve an exchange."""

from __future__ import annotations

import ccxt.pro as ccxt_pro
import pytest

from core.clock import ManualClock
from core.paths import SOURCE_ROOT
from exchanges.account_clients import AccountClients
from exchanges.accounts import account_of
from exchanges.bybit import Bybit
from exchanges.ccxt_exchange import CcxtExchange
from exchanges.clients import EXCHANGES, ccxt_id
from exchanges.okx import Okx
from exchanges.registry import ADAPTERS, adapter_of, open_exchange
from live.fills.sources.generic import GenericFills
from live.fills.sources.okx import OkxFills
from live.fills.sources.open import open_source


class NoClient:
    """Stands where an adapter wants a client and asks nothing of it."""

    walletAddress = ""  # noqa: N815 - ccxt's name


CLIENTS = AccountClients(NoClient(), None)


def test_adapters() -> None:
    """Every exchange has its own adapter, which says so; by any of its names; others are served by the common one."""
    assert set(ADAPTERS) == set(EXCHANGES)
    for name, made in ADAPTERS.items():
        assert made.CAPABILITIES.exchange == name
    assert adapter_of("binanceusdm") is adapter_of("Binance") is ADAPTERS["binance"]
    assert adapter_of("kraken") is CcxtExchange


@pytest.mark.parametrize("exchange", [*EXCHANGES, "kraken"])
def test_opened(exchange: str) -> None:
    """An adapter has its account's name and quote currency."""
    account = account_of("me", {"exchange": exchange})
    opened = open_exchange(account, CLIENTS, post_only=True)
    assert (type(opened), opened.name, opened.post_only) == (adapter_of(exchange), exchange, True)
    assert opened.quote == ("USDC" if exchange in ("hyperliquid", "defx", "paradex") else "USDT")


def test_settings_of_one_exchange() -> None:
    """OKX's orders carry the broker code; Bybit's balance is the one that is configured."""
    okx = open_exchange(account_of("me", {"exchange": "okx"}), CLIENTS, post_only=False, broker="code")
    assert isinstance(okx, Okx) and okx.tag == "code"
    account = account_of("me", {"exchange": "bybit"})
    bybit = open_exchange(account, CLIENTS, post_only=False, bybit_legacy_balance=True)
    assert isinstance(bybit, Bybit) and bybit.legacy_balance


def test_sources() -> None:
    """Fills have a source for each exchange; those without one of their own, and unknown ones, the common one."""
    made = {
        name: type(open_source(name, NoClient(), ManualClock(), quote="USDT", symbols=lambda: ()))
        for name in (*EXCHANGES, "kraken")
    }
    assert made["okx"] is OkxFills
    assert {name for name, kind in made.items() if kind is GenericFills} == {"defx", "paradex", "kraken"}


def test_docs() -> None:
    """The table in docs/exchanges.md is that of the capabilities."""
    text = (
        (SOURCE_ROOT / "docs" / "exchanges.md")
        .read_text(encoding="utf-8")
        .split("## What differs")[1]
        .split("## Fills")[0]
    )
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    told = {row[0]: row[1:] for row in rows[1:]}
    for name, made in (*ADAPTERS.items(), ("any other", CcxtExchange)):
        has = made.CAPABILITIES
        hedge = "as the account" if name == "okx" else "yes" if has.hedge else "no"
        caps = [str(cap or "") for cap in (has.max_cancels, has.max_creates, has.max_open_orders)]
        stream = getattr(ccxt_pro, ccxt_id(name, ccxt_pro.exchanges))() if name in ADAPTERS else None
        watches = "if ccxt has them" if stream is None else "yes" if stream.has["watchOrders"] else "no"
        assert told.pop(name) == [hedge, has.time_source, *caps, watches], name
    assert told == {}
