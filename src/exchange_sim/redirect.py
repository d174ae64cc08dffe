"""The custom endpoints that point every program at a simulated venue (`exchange_simulator.md` 9, `live.md` 18).

All hosts that the ccxt classes know are listed, test nets too: what is left would be refused by the loopback guard.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exchange_sim import archives, coingecko

PROTOCOLS = {"binance": "binanceusdm", "bybit": "bybit"}  # name -> ccxt id

_REST_HOSTS = {
    "binance": (
        *(f"{name}.binance.com" for name in ("fapi", "api", "dapi", "eapi", "papi")),
        *(f"demo-{name}.binance.com" for name in ("fapi", "api", "dapi")),
        "testnet.binancefuture.com",
        "testnet.binance.vision",
    ),
    "bybit": ("api.bybit.com", "api-testnet.bybit.com", "api-demo.bybit.com"),
}
_WS_HOSTS = {
    "binance": (
        *(f"{name}.binance.com" for name in ("fstream", "dstream", "demo-stream", "demo-ws-api")),
        "stream.binance.com:9443",
        "ws-api.binance.com:443",
        *(f"ws-{name}.binance.com" for name in ("fapi", "dapi")),
        *(f"{name}.binancefuture.com" for name in ("fstream", "dstream", "testnet")),
        "stream.testnet.binance.vision",
        "ws-api.testnet.binance.vision",
    ),
    "bybit": ("stream.bybit.com", "stream-testnet.bybit.com", "stream-demo.bybit.com"),
}


def endpoints_of(address: str, protocols: Iterable[str]) -> dict[str, Any]:
    """The content of an endpoints file for a venue at `address` (`127.0.0.1:8080`)."""
    return {
        "exchanges": {
            PROTOCOLS[name]: {
                "rest": {"rewrite_domains": {f"https://{host}": f"http://{address}" for host in _REST_HOSTS[name]}},
                "ws": {"rewrite_domains": {f"wss://{host}": f"ws://{address}" for host in _WS_HOSTS[name]}},
            }
            for name in protocols
        },
        "archive": {f"https://{host}": f"http://{address}{archives.PREFIX}{host}" for host in archives.HOSTS},
        "coingecko": {"https://api.coingecko.com": f"http://{address}{coingecko.PREFIX}"},
    }
