"""Forced modes: the words for them, and which one holds for a coin and side (`config_cli_suite.md` 11.3, 11.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError
from core.terms import PSIDES, Mode, Pside

MODE_TOKENS: dict[str, Mode] = {
    "n": "normal", "normal": "normal",
    "m": "manual", "manual": "manual",
    "gs": "graceful_stop", "graceful_stop": "graceful_stop", "graceful-stop": "graceful_stop",
    "p": "panic", "panic": "panic",
    "t": "tp_only", "tp": "tp_only", "tp_only": "tp_only", "tp-only": "tp_only",
}  # fmt: skip


def expand_forced_mode(token: Any, path: str) -> Mode | None:
    """The mode a word stands for; None for an empty text or null. `path` names the key in the error."""
    if token is None or token == "":
        return None
    mode = MODE_TOKENS.get(token.strip().lower()) if isinstance(token, str) else None
    if mode is None:
        raise ConfigError(f"{path} is {token!r}: use normal, manual, graceful_stop, panic, tp_only, or an empty text")
    return mode


@dataclass(frozen=True, slots=True)
class ForcedModes:
    """The global forced mode of each side, and those of single coins; None there cancels the global one."""

    everywhere: Mapping[Pside, Mode | None]
    own: Mapping[tuple[str, Pside], Mode | None]

    def of(self, coin: str, pside: Pside) -> Mode | None:
        """The coin's own mode, else the global one."""
        return self.own.get((coin, pside), self.everywhere[pside])

    def simulated(self, coin: str, pside: Pside, *, approved: bool) -> Mode | None:
        """The mode a backtest gives the coin and side (decisions E2 and E11).

        A global `normal` picks no new coins, so it acts as graceful_stop; so does not being approved on the side.
        """
        mode = self.of(coin, pside)
        if mode == "normal" and (coin, pside) not in self.own:
            mode = "graceful_stop"
        return mode or (None if approved else "graceful_stop")


def forced_modes(live: Mapping[str, Any], overrides: Mapping[str, Any]) -> ForcedModes:
    """From section `live` and resolved `coin_overrides`."""
    everywhere = {p: expand_forced_mode(live[f"forced_mode_{p}"], f"live.forced_mode_{p}") for p in PSIDES}
    own = {
        (coin, pside): expand_forced_mode(token, f"coin_overrides.{coin}.live.forced_mode_{pside}")
        for coin, override in overrides.items()
        for pside in PSIDES
        if (token := override.get("live", {}).get(f"forced_mode_{pside}")) is not None
    }
    return ForcedModes(everywhere, own)
