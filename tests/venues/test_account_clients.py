"""The clients of an account: where they send, what they carry, what they refuse (`live.md` 18, 19)."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import ccxt.async_support as ccxt
import ccxt.pro as ccxt_pro
import pytest
from venue_cases import PROTOCOLS

from core import redaction
from core.errors import ConfigError, ToolMissingError
from exchange_sim.server import SimServer
from exchanges.account_clients import AccountClients, account_clients, check_version, pinned_version
from exchanges.accounts import account_of
from exchanges.client_urls import is_loopback, url_leaves
from exchanges.endpoints import Endpoints, parse_endpoints

SECRET = "very-secret-0a1b2c3d"


def made(exchange: str, endpoints: Endpoints, **options: Any) -> AccountClients:
    entry = {"exchange": exchange, "key": "my-public-key", "secret": SECRET, "options": {"own": 1}}
    return account_clients(account_of("me", entry), endpoints, **options)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_paper(protocol: str) -> None:
    """Both clients are ccxt's own, carry the keys, and every URL of them is on this machine."""

    async def case() -> None:
        async with SimServer() as sim:
            endpoints = parse_endpoints(sim.endpoints(), "sim")
            clients = made(protocol, endpoints, recv_window_ms=4000, loopback_only=True)
            name = clients.rest.id
            assert (type(clients.rest), type(clients.stream)) == (getattr(ccxt, name), getattr(ccxt_pro, name))
            for client in (clients.rest, clients.stream):
                assert (client.apiKey, client.secret) == ("my-public-key", SECRET)
                assert (client.options["recvWindow"], client.options["own"]) == (4000, 1)
                assert client.enableRateLimit is False
                assert all(map(is_loopback, url_leaves(client).values()))
            assert clients.rest.options is not clients.stream.options
            assert len(await clients.rest.load_markets()) == 12
            assert len(await clients.stream.load_markets()) == 12
            await clients.aclose()

    asyncio.run(case())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_loopback_only(protocol: str) -> None:
    """Paper trading refuses clients of which a single URL leaves the machine."""
    with pytest.raises(ConfigError, match="these URLs are not on this machine"):
        made(protocol, Endpoints(), loopback_only=True)


def test_without_streams() -> None:
    """`disable_ws`, or a venue that ccxt.pro does not have: REST alone."""
    quiet = parse_endpoints({"exchanges": {"bybit": {"disable_ws": True}}}, "x")
    assert made("bybit", quiet).stream is None
    assert made("bybit", Endpoints()).stream is not None
    without = next(name for name in ccxt.exchanges if not hasattr(ccxt_pro, name))
    assert made(without, Endpoints()).stream is None


def test_secrets_are_hidden(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text with a key of the account passes the log after it was read; the calls themselves are logged."""
    monkeypatch.setattr(redaction, "_secrets", set())
    caplog.set_level(logging.DEBUG)

    async def case() -> None:
        async with SimServer() as sim:
            clients = made("binance", parse_endpoints(sim.endpoints(), "sim"))
            await clients.rest.load_markets()
            await clients.aclose()

    asyncio.run(case())
    assert redaction.redacted(f"{SECRET} and my-public-key") == "*** and ***"
    told = [record.getMessage() for record in caplog.records if record.name == "exchanges.clients"]
    assert any("/fapi/v1/exchangeInfo" in line for line in told)
    assert SECRET not in json.dumps(told)


def test_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders go through the pinned ccxt; who wants another says so."""
    monkeypatch.delenv("SKIP_CCXT_ASSERT", raising=False)
    check_version(ccxt.__version__)
    with pytest.raises(ToolMissingError, match=r"ccxt 1.2.3 is installed, .* is needed: pip install ccxt=="):
        check_version("1.2.3")
    monkeypatch.setenv("SKIP_CCXT_ASSERT", "Yes")
    check_version("1.2.3")
    assert pinned_version("a==1\nccxt==9.8.7\nb==2\n") == "9.8.7"
    with pytest.raises(ConfigError, match="pins no version of ccxt"):
        pinned_version("ccxt\n")
