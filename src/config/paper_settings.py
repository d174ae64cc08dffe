"""What paper trading needs of a config (`exchange_simulator.md` 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from config.access import optional_config_value
from config.changes import Config
from core.errors import ConfigError
from core.paths import DEFAULT_CACHE_DIR

SYNTHETIC = ("sample", "synthetic")


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """A paper account and its market; fees as fractions (maker, taker) or None, dates as texts or None."""

    protocol: str
    balance: float
    data: str
    start: str | None
    end: str | None
    speed: float
    fill_model: str
    fill_probability: float
    participation: float
    fees: tuple[float, float] | None
    slippage: float
    seed: int
    state: str | None
    funding: Mapping[str, Any] | None
    liquidation: bool

    @property
    def user(self) -> str:
        """The name of the account, which needs no entry in api-keys.json."""
        return f"paper_{self.protocol}"

    @property
    def is_synthetic(self) -> bool:
        return self.data in SYNTHETIC

    @property
    def state_dir(self) -> str:
        """Where the account and everything of its market is kept, apart from what is real."""
        return self.state or str(DEFAULT_CACHE_DIR / "paper" / self.protocol / self.user)


def paper_settings(config: Config) -> PaperSettings:
    """The section `paper`, completed. Raises ConfigError naming the key for what does not go together."""
    found = {field.name: optional_config_value(config, f"paper.{field.name}") for field in fields(PaperSettings)}
    fees = found["fees"]
    if fees is not None and len(fees) != 2:
        raise ConfigError(f"paper.fees is {fees!r}: two fractions are needed, maker and taker")
    settings = PaperSettings(**found | {"fees": tuple(map(float, fees)) if fees is not None else None})
    if settings.speed != 1.0 and settings.data == "live":
        raise ConfigError("paper.speed: live candles come at their own speed; use replay, cache or sample")
    if settings.data == "replay" and not settings.start:
        raise ConfigError("paper.start is missing: a replay needs its first minute (--paper-start 2025-03-01)")
    return settings
