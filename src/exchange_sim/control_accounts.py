"""What the control interface shows of accounts and does to them (`exchange_simulator.md` 11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from core.errors import ConfigError
from exchange_sim.trading.account import Account
from exchange_sim.trading.engine import Engine
from exchange_sim.trading.interventions import fill_now, jump_balance, put_position
from exchange_sim.trading.records import Fill, OrderRequest, Position, Reject
from exchange_sim.trading.state import load_record
from exchange_sim.venue import Venue

_POSITION = {"pside": "long", "created": 0, "updated": 0}
_FILL = {
    "order_id": 0, "client_id": "", "realized": 0.0, "fee": 0.0, "maker": True, "closed_qty": 0.0, "entry_before": 0.0,
}  # fmt: skip


class AccountControl:
    """`protocol` and `account` (the API key) are needed only where there are several."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue

    def state(self, request: web.Request, body: Any) -> Any:
        return self.show(request.query)

    def show(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Balance, equity, positions, open orders and fills of an account."""
        return self._state(*self._account(asked))

    def change(self, request: web.Request, body: Any) -> Any:
        return self.put(body)

    def put(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make an account what `balance`, `hedge`, `positions`, `orders` and `fills` say; what is not named stays."""
        engine = self._engine(body)
        account, now_ms = engine.account(str(body["key"])), self.venue.now_ms()
        if "balance" in body:
            jump_balance(engine, account.key, float(body["balance"]) - account.wallet, now_ms)
        if "hedge" in body:
            _check(account.set_hedge(bool(body["hedge"])))
        for row in body.get("positions", ()):
            put_position(
                engine, account.key, load_record(Position, {**_POSITION, **self._named(row)}, "position"), now_ms
            )
        for row in body.get("orders", ()):
            _check(engine.submit(account.key, OrderRequest(**self._named(row)), now_ms))
        for row in body.get("fills", ()):
            fill = {**_FILL, "id": account.last_fill_id + 1, **self._named(row)}
            account.add_fill(load_record(Fill, fill, "fill"))
        return self._state(engine, account)

    def fill(self, request: web.Request, body: Any) -> Any:
        """Fill an order, in full and at its price unless `qty` or `price` say otherwise."""
        engine, account = self._account({**request.query, **body})
        order_id = int(request.match_info["id"])
        filled = fill_now(
            engine, account.key, order_id, self.venue.now_ms(), body.get("qty"), body.get("price")
        )  # fmt: skip
        if isinstance(filled, Reject):
            raise ConfigError(filled.detail)
        return asdict(filled)

    def _engine(self, asked: Mapping[str, Any]) -> Engine:
        self.venue.settle()
        engines = self.venue.engines
        name = str(asked.get("protocol") or (next(iter(engines)) if len(engines) == 1 else ""))
        if name not in engines:
            raise ConfigError(f"protocol is {name!r}, one of {', '.join(engines)} is needed")
        return engines[name]

    def _account(self, asked: Mapping[str, Any]) -> tuple[Engine, Account]:
        engine = self._engine(asked)
        keys = list(engine.accounts)
        key = str(asked.get("account") or (keys[0] if len(keys) == 1 else ""))
        if key not in engine.accounts:
            raise ConfigError(f"account is {key!r}, one of the {len(keys)} that were used so far is needed")
        return engine, engine.accounts[key]

    def _state(self, engine: Engine, account: Account) -> dict[str, Any]:
        return {
            "account": account.key,
            "now_ms": self.venue.now_ms(),
            "balance": account.wallet,
            "equity": account.equity(engine.quotes),
            "hedge": account.hedge,
            "leverage": dict(account.leverage),
            "positions": [asdict(position) for position in account.positions.values()],
            "orders": [asdict(order) for order in account.open_orders.values()],
            "fills": [asdict(fill) for fill in account.fills],
        }

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with our name of its symbol."""
        return {**row, "symbol": self.venue.market.find(str(row["symbol"])).symbol}


def _check(outcome: Any) -> None:
    """Raises ConfigError for what the engine refuses; that something stands so already is no refusal."""
    if isinstance(outcome, Reject) and outcome.reason != "unchanged":
        raise ConfigError(f"{outcome.reason}: {outcome.detail}")
