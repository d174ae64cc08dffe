"""What a bot tells of its cycles, in the tags of `live.md` 22; what repeats is told once and then seldom."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from core.clock import HOUR_MS, MINUTE_MS, Clock
from exchanges.failures import is_ambiguous
from exchanges.protocol import OpenOrder
from live.account.state import AccountState
from live.choice.market_book import MarketBook
from live.orders.executor import Failed, Report
from live.orders.selection import LEAST_BALANCE
from live.planning.decision import Decision
from live.planning.reconcile import plan_summary
from live.planning.translate import FLAT
from live.records import Modes, Order
from live.telling.order_lines import order_text, summary_lines
from live.telling.position_lines import Exposure, changed_positions, distance, position_line, upnl
from live.telling.throttle import Throttle

logger = logging.getLogger(__name__)

MODES_EVERY_MS, QUARTER_MS = 2 * MINUTE_MS, 15 * MINUTE_MS
QUIET = frozenset({"post_only", "reduce_only", "gone", "duplicate_id", "margin", "minimum", "rate_limit"})
"""Refusals that the next cycle, or waiting, takes care of: no errors of the program."""


class CycleLog:
    """Keeps what was told last."""

    def __init__(self, clock: Clock, quote: str) -> None:
        self._quote = quote
        self._throttle = Throttle(clock)
        self._modes: Modes = {}
        self._limits: Mapping[object, Exposure] = {}

    # --- the account (5.1)

    def account(
        self, before: AccountState | None, now: AccountState, book: MarketBook, prices: Mapping[str, float]
    ) -> None:
        """Balance and positions, where they changed."""
        if before is None or before.balance != now.balance:
            open_profit = sum(upnl(key, held, prices.get(key[0]), book) for key, held in now.positions.items())
            old = "-" if before is None else f"{before.balance:.6g}"
            logger.info(
                "[balance] %s -> %.6g equity: %.6g %s source: REST", old, now.balance, now.balance + open_profit,
                self._quote,
            )  # fmt: skip
        if now.balance < LEAST_BALANCE:
            text = f"[balance] {now.balance:g} {self._quote} is too low to trade; {LEAST_BALANCE:g} is the least"
            self._tell("poor", text)
        known = before.positions if before else {}
        for key in changed_positions(known, now.positions):
            old_position, position = known.get(key, FLAT), now.positions.get(key, FLAT)
            exposure = self._limits.get(key)
            line = position_line(old_position, position, book.coin(key[0]), key[1], exposure)
            price = prices.get(key[0])
            if price and position.size:
                line += f" dist={distance(price, position):+.2%} upnl={upnl(key, position, price, book):+.4g}"
            logger.info("%s", line)

    # --- the plan

    def plan(self, decision: Decision, *, dry: bool) -> None:
        """Modes, what is left alone and why, and the orders that should change."""
        self._keep_limits(decision)
        self._mode_changes(dict(decision.facts.modes))
        for symbol, reason in decision.plan.frozen.items():
            if self._throttle.allows(("frozen", symbol), reason, again_ms=HOUR_MS, at_least_ms=MINUTE_MS):
                logger.warning("[mode] %s is left alone: %s", symbol, reason)
        for symbol, reason in decision.blocked.items():
            self._tell(("blocked", symbol), f"[mode] nothing new is opened on {symbol}: {reason}")
        for text in (*decision.plan.warnings, *decision.translation.warnings):
            if self._throttle.allows(("warning", text), text, again_ms=HOUR_MS):
                logger.warning("[order] %s", text)
        self._unplaced(decision)
        summary = plan_summary(decision.diff)
        if decision.diff.counts and self._throttle.allows("summary", summary):
            logger.info("%s[order] %s", "dry run: " if dry else "", summary)
        if dry:
            cancels: list[Order] = [change.order for change in decision.diff.to_cancel]
            for order in [*cancels, *(change.order for change in decision.diff.to_create)]:
                verb = "cancel" if isinstance(order, OpenOrder) else "post"
                text = order_text(order)
                if self._throttle.allows(("dry", order.symbol, text), verb, again_ms=HOUR_MS):
                    logger.info("dry run: [order] would %s %s %s", verb, order.symbol, text)

    def _keep_limits(self, decision: Decision) -> None:
        request = decision.plan.request or {"symbols": []}
        symbols = sorted({symbol for symbol, _ in decision.facts.modes})
        book, balance = decision.world.book, decision.facts.balance
        params = {
            (symbols[i], pside): row[pside]["bot_params"]
            for i, row in enumerate(request["symbols"])
            for pside in ("long", "short")
            if len(request["symbols"]) == len(symbols)
        }
        self._limits = {
            key: Exposure(
                book.c_mult(key[0]), balance, p["wallet_exposure_limit"], p["risk_we_excess_allowance_pct"],
                p["total_wallet_exposure_limit"],
            )
            for key, p in params.items()
        }  # fmt: skip

    def _mode_changes(self, modes: Modes) -> None:
        for key in sorted({*modes, *self._modes}):
            old, new = self._modes.get(key), modes.get(key)
            if old == new:
                continue
            kind = "added" if old is None else "removed" if new is None else "changed"
            arrow = f"{new or old}" if kind != "changed" else f"{old} -> {new}"
            text = f"[mode] {kind:<7} {key[1]}.{key[0]}: {arrow}"
            if self._throttle.allows(("mode", key, kind), text, again_ms=0, at_least_ms=MODES_EVERY_MS):
                logger.info("%s", text)
        self._modes = modes

    def _unplaced(self, decision: Decision) -> None:
        """Why a first entry or an unstucking close that is wanted does not rest (22)."""
        for order, reason in decision.translation.withheld:
            if "initial" in order.order_type or "unstuck" in order.order_type:
                what = f"{order.symbol} {order.order_type} {abs(order.qty):.10g}@{order.price:.10g}"
                self._seldom(("unplaced", *order.key, order.order_type), f"[order] {what} waits: {reason}")
        unstucking = [order for order in decision.plan.orders if "unstuck" in order.order_type]
        for order in unstucking:
            self._seldom(("unstuck", *order.key), f"[order] {order.symbol} {order.pside} is picked for unstucking")

    # --- what was sent (14)

    def report(self, decision: Decision, report: Report) -> None:
        """What was cancelled and posted, what was not, and why."""
        cancelled = {order.id for order in report.cancelled}
        posted = {(o.symbol, o.side, o.pside, o.qty, o.price) for o in report.created}
        cancels = [change for change in decision.diff.to_cancel if change.order.id in cancelled]
        creates = [
            change
            for change in decision.diff.to_create
            if (change.order.symbol, change.order.side, change.order.pside, change.order.qty, change.order.price)
            in posted
        ]
        for verb, lines in (("cancel", summary_lines("cancel", cancels)), ("post", summary_lines("post", creates))):
            for symbol, line in lines.items():
                if self._throttle.allows((verb, symbol), line, again_ms=QUARTER_MS):
                    logger.info("%s", line)
        for withheld in report.withheld:
            text = f"[order] not posted now: {withheld.order.symbol} {order_text(withheld.order)}: {withheld.reason}"
            logger.debug("%s", text)
        for failed in report.failed:
            self._failure(failed)

    def _failure(self, failed: Failed) -> None:
        verb = "cancel" if isinstance(failed.order, OpenOrder) else "post"
        what = f"[order] {verb} {failed.order.symbol} {order_text(failed.order)}"
        if failed.failure in QUIET:
            word = "already gone" if failed.failure == "gone" else f"refused ({failed.failure})"
            logger.info("%s: %s: %s", what, word, failed.error)
        elif is_ambiguous(failed.failure):
            logger.warning("%s: no answer (%s: %s); the next reading decides", what, failed.failure, failed.error)
        else:
            logger.error("%s failed (%s)", what, failed.failure, exc_info=failed.error)

    def _tell(self, subject: object, text: str) -> None:
        """When it changes, and every hour."""
        if self._throttle.allows(str(subject), text, again_ms=HOUR_MS):
            logger.info("%s", text)

    def _seldom(self, subject: object, text: str) -> None:
        """Where the text changes all the time: at most every quarter of an hour, the same every hour."""
        if self._throttle.allows(str(subject), text, again_ms=HOUR_MS, at_least_ms=QUARTER_MS):
            logger.info("%s", text)
