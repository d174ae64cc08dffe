"""OKX (`live.md` 21): balances of one or of several currencies, position mode as the account has it."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from core.terms import PSIDES, Pside
from exchanges.ccxt_exchange import CcxtExchange, Reply, pside_by_direction
from exchanges.protocol import Capabilities, TargetOrder

logger = logging.getLogger(__name__)

MOST_LEVERAGE = 125
PORTFOLIO_MARGIN = ("51039", "51000")  # such accounts set no leverage, and keep one position a symbol


class Okx(CcxtExchange):
    CAPABILITIES = Capabilities("okx", max_open_orders=100)
    tag = ""  # the broker code, on every order
    _hedge = True

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.CAPABILITIES, hedge=self._hedge)

    async def fetch_balance(self) -> float:
        accounts = (await self.rest.fetch_balance())["info"]["data"]
        details = [detail for account in accounts for detail in account["details"]]
        if len(accounts) == 1 and len(details) == 1 and self._is_single(details[0]):
            return self.number(details[0]["cashBal"], "cashBal")
        counted = [detail for detail in details if detail.get("collateralEnabled")]
        prices = await self._prices({detail["ccy"] for detail in counted} - {self.quote})
        total = sum(self.number(d["cashBal"], f"cashBal of {d['ccy']}") * prices[d["ccy"]] for d in counted)
        return self.number(total, "balance")

    def _is_single(self, detail: Reply) -> bool:
        return detail["ccy"] == self.quote and not detail.get("collateralEnabled")

    async def _prices(self, currencies: set[str]) -> dict[str, float]:
        """What a unit of each currency is worth. Raises DataError for one without a price: it is not worth nothing."""
        symbols = {currency: f"{currency}/{self.quote}:{self.quote}" for currency in sorted(currencies)}
        listed = [symbol for symbol in symbols.values() if symbol in self.rest.markets]
        tickers = await self.fetch_tickers(listed) if listed else {}
        found = {c: self.number(tickers[s].last if s in tickers else None, f"price of {c}") for c, s in symbols.items()}
        return {self.quote: 1.0, **found}

    async def _fetch_positions(self) -> Sequence[Reply]:
        return [row for row in await self.rest.fetch_positions() if row["marginMode"] == "cross"]

    def _pside(self, row: Reply) -> Pside:
        stated = row["info"].get("posSide")
        return self.pside(stated, f"order {row['id']}") if stated in PSIDES else pside_by_direction(row)

    async def set_up_account(self) -> None:
        """An account that trades one way is left as it is."""
        config = (await self.rest.privateGetAccountConfig())["data"][0]
        self._hedge = config["posMode"] != "net_mode"
        if not self._hedge:
            return
        try:
            await self.unless_unchanged(self.rest.set_position_mode(True))
        except Exception as exc:
            if any(code in str(exc) for code in PORTFOLIO_MARGIN):
                self._hedge = False
            elif "59000" in str(exc):  # refused while positions or orders are there: the mode stays as it is
                logger.info("okx: the position mode stays as it is: %s", exc)
            else:
                raise

    async def set_up_symbol(self, symbol: str, leverage: float) -> None:
        try:
            await self.unless_unchanged(self._set_cross(symbol, leverage))
        except Exception as exc:
            if not any(code in str(exc) for code in PORTFOLIO_MARGIN):
                raise
            logger.warning("okx: %s: the leverage of a portfolio margin account is not set", symbol)

    def _set_cross(self, symbol: str, leverage: float) -> Coroutine[Any, Any, Any]:
        lever = int(min(leverage, self._most_leverage(symbol, leverage), MOST_LEVERAGE))
        call: Coroutine[Any, Any, Any] = self.rest.set_margin_mode("cross", symbol, {"lever": lever})
        return call

    def _order_params(self, order: TargetOrder) -> dict[str, Any]:
        params: dict[str, Any] = {
            "postOnly": self.post_only and order.kind == "limit",
            "reduceOnly": order.reduce_only,
            "hedged": self._hedge,
            "tag": self.tag,
            "clOrdId": order.custom_id,
            "marginMode": "cross",
        }
        return params | ({"positionSide": order.pside} if self._hedge else {})
