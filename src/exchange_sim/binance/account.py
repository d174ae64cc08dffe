"""Binance's calls about balance, positions and settings (`exchange_simulator.md` 7.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exchange_sim.binance.refusals import margin_type_refusal, position_mode_refusal, refusal
from exchange_sim.binance.rows import account_row, older_position_row, position_row
from exchange_sim.binance.signed import Call, instrument, missing, optional_symbol
from exchange_sim.desk import Desk
from exchange_sim.trading.records import MarginMode, Position, PositionSide, Reject
from exchange_sim.trading.upkeep import MAINTENANCE
from exchange_sim.wire import VenueError, step_text

SUCCESS = {"code": 200, "msg": "success"}
MOST_LEVERAGE = 125
NOTIONAL_CAP = 100_000_000
_MARGIN_TYPES: Mapping[str, MarginMode] = {"CROSSED": "cross", "ISOLATED": "isolated"}


class AccountCalls:
    """Handlers take a `Call` and give what is sent as JSON."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def handlers(self) -> dict[tuple[str, str], Callable[[Call], Any]]:
        return {
            ("GET", "/fapi/v3/account"): self.account,
            ("GET", "/fapi/v2/account"): self.account,
            ("GET", "/fapi/v3/positionRisk"): self.positions,
            ("GET", "/fapi/v2/positionRisk"): self.older_positions,
            ("GET", "/fapi/v1/leverageBracket"): self.brackets,
            ("GET", "/fapi/v1/commissionRate"): self.fees,
            ("POST", "/fapi/v1/leverage"): self.leverage,
            ("POST", "/fapi/v1/marginType"): self.margin_type,
            ("GET", "/fapi/v1/positionSide/dual"): self.position_mode,
            ("POST", "/fapi/v1/positionSide/dual"): self.set_position_mode,
        }

    def account(self, call: Call) -> Any:
        wallet = self.desk.wallet(call.request, call.key)
        return account_row(call.account, wallet, self.desk.engine.quotes, self._asset())

    def positions(self, call: Call) -> Any:
        """Those that are not flat."""
        symbol, quotes = optional_symbol(self.desk, call), self.desk.engine.quotes
        held = self.desk.positions(call.request, call.key)
        by_symbol = self.desk.venue.market.by_symbol
        return [position_row(p, by_symbol[p.symbol], call.account, quotes) for p in held if symbol in (None, p.symbol)]

    def older_positions(self, call: Call) -> Any:
        """Flat ones too, one a side."""
        asked, quotes = optional_symbol(self.desk, call), self.desk.engine.quotes
        held = {(p.symbol, p.pside): p for p in self.desk.positions(call.request, call.key)}
        psides: tuple[PositionSide, ...] = ("long", "short") if call.account.hedge else ("both",)
        return [
            older_position_row(
                held.get((item.symbol, pside), Position(item.symbol, pside)), item, call.account, quotes
            )
            for item in self.desk.venue.listed() if asked in (None, item.symbol) for pside in psides
        ]  # fmt: skip

    def brackets(self, call: Call) -> Any:
        asked = optional_symbol(self.desk, call)
        bracket = {
            "bracket": 1, "initialLeverage": MOST_LEVERAGE, "notionalCap": NOTIONAL_CAP, "notionalFloor": 0,
            "maintMarginRatio": MAINTENANCE, "cum": 0.0,
        }  # fmt: skip
        items = [item for item in self.desk.venue.listed() if asked in (None, item.symbol)]
        return [{"symbol": item.id, "notionalCoef": 1.0, "brackets": [bracket]} for item in items]

    def fees(self, call: Call) -> Any:
        item = instrument(self.desk, call)
        return {
            "symbol": item.id, "makerCommissionRate": step_text(item.market.maker_fee),
            "takerCommissionRate": step_text(item.market.taker_fee),
        }  # fmt: skip

    def leverage(self, call: Call) -> Any:
        """That it stands so already is no error here."""
        item, leverage = instrument(self.desk, call), call.integer("leverage")
        if leverage is None:
            raise missing("leverage")
        if not 1 <= leverage <= MOST_LEVERAGE:
            raise VenueError(-4028, f"Leverage {leverage} is not valid")
        refused = call.account.set_leverage(item.symbol, float(leverage))
        if refused is not None and refused.reason != "unchanged":
            raise refusal(refused)
        return {"leverage": leverage, "maxNotionalValue": str(NOTIONAL_CAP), "symbol": item.id}

    def margin_type(self, call: Call) -> Any:
        instrument(self.desk, call)
        mode = _MARGIN_TYPES.get(call.text("marginType"))
        if mode is None:
            raise missing("marginType")
        return _done(call.account.set_margin_mode(mode), margin_type_refusal)

    def position_mode(self, call: Call) -> Any:
        return {"dualSidePosition": call.account.hedge}

    def set_position_mode(self, call: Call) -> Any:
        word = call.text("dualSidePosition").lower()
        if word not in ("true", "false"):
            raise missing("dualSidePosition")
        return _done(call.account.set_hedge(word == "true"), position_mode_refusal)

    def _asset(self) -> str:
        """The one currency of the account: that of the first contract."""
        return next(iter(self.desk.venue.market.by_id.values())).market.quote


def _done(refused: Reject | None, error: Callable[[Reject], VenueError]) -> Any:
    if refused is not None:
        raise error(refused)
    return SUCCESS
