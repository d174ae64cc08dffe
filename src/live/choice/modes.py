"""What each coin may do on each side in this cycle (`live.md` 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from config.modes import ForcedModes
from core.terms import PSIDES, Mode, Pside
from live.choice.eligibility import NOT_ACTIVE, NOT_LISTED
from live.records import Modes


@dataclass(frozen=True, slots=True)
class SideState:
    """One side of the account, symbols throughout.

    `ideal` deserve a slot, best first; `held` have a position here, `held_opposite` on the other side; `stop` is the
    mode of what shall wind down (graceful_stop with `live.auto_gs`, else manual).
    """

    ideal: Sequence[str]
    held: Collection[str]
    held_opposite: Collection[str]
    max_positions: int
    stop: Mode


@dataclass(frozen=True, slots=True)
class ModeRules:
    """For both sides: forced modes by symbol, symbols with `coin_overrides`, those that cannot be traded and why."""

    forced: ForcedModes
    overridden: Collection[str]
    ineligible: Mapping[str, str]
    exchange_can_hedge: bool

    def forced_mode(self, symbol: str, pside: Pside) -> Mode | None:
        """The mode that a user or the state of the market dictates; None leaves it open."""
        if mode := self.forced.of(symbol, pside):
            return mode
        by_market: dict[str | None, Mode] = {NOT_ACTIVE: "tp_only", NOT_LISTED: "manual"}
        return by_market.get(self.ineligible.get(symbol))


def assign_modes(sides: Mapping[Pside, SideState], with_orders: Collection[str], rules: ModeRules) -> Modes:
    """A mode for both sides of every symbol that is active on one of them; `with_orders` have open orders."""
    by_side = {pside: _assign_side(pside, sides[pside], with_orders, rules) for pside in PSIDES}
    active = sorted({symbol for modes in by_side.values() for symbol in modes})
    return {(symbol, pside): by_side[pside].get(symbol, sides[pside].stop) for symbol in active for pside in PSIDES}


def active_symbols(modes: Modes) -> list[str]:
    """The symbols of a cycle, sorted."""
    return sorted({symbol for symbol, _ in modes})


def stop_opening(modes: Modes, symbols: Iterable[str] | None = None) -> Modes:
    """The modes without new positions on `symbols` (on all by default); what is held is managed as before."""
    stopped = {symbol for symbol, _ in modes} if symbols is None else set(symbols)
    return {
        (symbol, pside): "graceful_stop" if mode == "normal" and symbol in stopped else mode
        for (symbol, pside), mode in modes.items()
    }


def _assign_side(pside: Pside, side: SideState, with_orders: Collection[str], rules: ModeRules) -> dict[str, Mode]:
    forced = ((symbol, rules.forced_mode(symbol, pside)) for symbol in sorted(rules.overridden))
    modes = {symbol: mode for symbol, mode in forced if mode is not None}
    filled = {symbol for symbol, mode in modes.items() if mode in ("normal", "graceful_stop")}
    for symbol in sorted(side.held):
        if symbol in modes:
            continue
        if mode := rules.forced_mode(symbol, pside):
            modes[symbol] = mode  # takes no slot
        else:
            modes[symbol] = _mode_of_held(symbol, side, rules)
            filled.add(symbol)
    for symbol in side.ideal:
        if len(filled) >= side.max_positions:
            break
        blocked = symbol in side.held_opposite and not rules.exchange_can_hedge
        if symbol not in modes and not blocked:
            modes[symbol] = "normal"
            filled.add(symbol)
    return dict.fromkeys(with_orders, side.stop) | modes


def _mode_of_held(symbol: str, side: SideState, rules: ModeRules) -> Mode:
    if symbol in rules.ineligible:
        return "manual"
    wanted = symbol in side.ideal and len(side.held) <= side.max_positions
    return "normal" if wanted else side.stop
