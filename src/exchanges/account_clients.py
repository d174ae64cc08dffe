"""The two CCXT clients of an account: one for REST, one for streams (`live.md` 18, 19)."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.flags import TRUE_WORDS
from core import paths
from core.errors import ConfigError, ToolMissingError
from exchanges.accounts import Account, client_config
from exchanges.client_urls import require_loopback
from exchanges.clients import MARKET_OPTIONS, TIMEOUT_MS, ccxt_id, prepare
from exchanges.endpoints import Endpoints

SKIP_VERSION = "SKIP_CCXT_ASSERT"
# What clients would do of their own accord with somebody else's account: nothing is approved, paid or set for ccxt.
_RESTRAINED: Mapping[str, Mapping[str, Any]] = {"hyperliquid": {"builderFee": False, "refSet": True}}


@dataclass(frozen=True, slots=True)
class AccountClients:
    """`rest` is a `ccxt.async_support` client, `stream` a `ccxt.pro` one, or None where streams are switched off."""

    rest: Any
    stream: Any

    async def aclose(self) -> None:
        """Close all connections. Both are closed, whatever becomes of the first."""
        try:
            await self.rest.close()
        finally:
            if self.stream is not None:
                await self.stream.close()


def account_clients(
    account: Account,
    endpoints: Endpoints,
    *,
    broker: str | Mapping[str, Any] = "",
    recv_window_ms: int | None = None,
    loopback_only: bool = False,
) -> AccountClients:
    """Unmodified clients with the account's keys.

    `loopback_only` refuses any URL that leaves this machine (paper trading). Raises ConfigError for an exchange that
    ccxt does not have, or endpoints that do not fit it; ToolMissingError for a ccxt of another version.
    """
    ccxt = importlib.import_module("ccxt.async_support")  # 0.7 s, which only programs that trade should wait for
    check_version(ccxt.__version__)
    exchange_id = ccxt_id(account.exchange, ccxt.exchanges)
    override = endpoints.of_exchange(exchange_id)
    config = _config(account, exchange_id, broker, recv_window_ms)
    rest = getattr(ccxt, exchange_id)(config)
    prepare(rest, override, websockets=False)
    stream_class = getattr(importlib.import_module("ccxt.pro"), exchange_id, None)
    stream = None
    if stream_class is not None and not override.disable_ws:
        stream = stream_class(_config(account, exchange_id, broker, recv_window_ms))
        prepare(stream, override, websockets=True)
    if loopback_only:
        require_loopback(*(client for client in (rest, stream) if client is not None))
    return AccountClients(rest, stream)


def _config(account: Account, exchange_id: str, broker: Any, recv_window_ms: int | None) -> dict[str, Any]:
    """What a client is constructed with; each gets options of its own, for clients write into them."""
    config = client_config(account, broker=broker, recv_window_ms=recv_window_ms)
    # Binance's open orders of all symbols cost forty times those of one: ccxt would refuse, we ask for single ones.
    options = {
        "warnOnFetchOpenOrdersWithoutSymbol": False,
        **MARKET_OPTIONS.get(exchange_id, {}),
        **_RESTRAINED.get(exchange_id, {}),
        **config["options"],
    }
    return {"enableRateLimit": True, "timeout": TIMEOUT_MS, **config, "options": options}


def check_version(installed: str) -> None:
    """Orders go through the tested version of ccxt, unless SKIP_CCXT_ASSERT is set. Raises ToolMissingError."""
    pinned = pinned_version((paths.SOURCE_ROOT / "requirements.txt").read_text(encoding="utf-8"))
    if installed != pinned and os.environ.get(SKIP_VERSION, "").strip().lower() not in TRUE_WORDS:
        raise ToolMissingError(
            f"ccxt {installed} is installed, {pinned} is needed: pip install ccxt=={pinned}, or set {SKIP_VERSION}=1"
        )


def pinned_version(requirements: str) -> str:
    """The version of ccxt in the text of a requirements file. Raises ConfigError if it names none."""
    found = re.search(r"^ccxt==(\S+)", requirements, re.MULTILINE)
    if found is None:
        raise ConfigError("requirements.txt pins no version of ccxt")
    return found[1]
