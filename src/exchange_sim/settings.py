"""The file that describes a venue to be (`exchange_sim.py --config`), HJSON; every key is optional.

protocols: ["binance", "bybit"]
data: sample
// or cache (the candle store), or a directory of candle files
data_seed: 0
// of the sample market
exchange: binance
// whose candles of the store below cache_dir
cache_dir: caches
market_settings: settings.json
// steps and fees of a directory's coins, as import_candles.py takes them
start: 2025-06-01
// where the venue's clock starts; without it: the time of day
speed: 1
// of the clock; with 0 it moves by POST /sim/v1/clock/advance only
seed: 0
// of faults with a probability
faults: [{match: {path: "/fapi/v1/klines"}, action: "http", status: 429, count: 2}]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.text import read_hjson
from core.clock import Clock, ManualClock, ScaledClock, SystemClock
from core.dates import date_to_ts
from core.errors import ConfigError
from exchange_sim.market import VenueMarket
from exchange_sim.redirect import PROTOCOLS
from exchange_sim.server import SimConfig
from exchange_sim.sources import directory_market, sample_market, store_market

DEFAULTS: dict[str, Any] = {
    "protocols": list(PROTOCOLS),
    "data": "sample",
    "data_seed": 0,
    "exchange": "binance",
    "cache_dir": "caches",
    "market_settings": "",
    "start": "",
    "speed": 1.0,
    "seed": 0,
    "faults": [],
}


def read_sim_config(path: Path | None, port: int = 0, protocols: tuple[str, ...] | None = None) -> SimConfig:
    """The venue of a file, or the default one; `protocols` of the command line win.

    Raises ConfigError naming file, key and value; DataError if the candles it names cannot be used.
    """
    where = str(path) if path else "venue"
    content = read_hjson(path) if path else {}
    if not isinstance(content, dict):
        raise ConfigError(f"{where} is {type(content).__name__}, an object is needed")
    for key, value in content.items():
        _check(where, key, value)
    values = {**DEFAULTS, **content}
    clock = _clock(values, where)
    return SimConfig(
        market=_market(values, clock),
        clock=clock,
        protocols=protocols or tuple(values["protocols"]),
        port=port,
        faults=tuple(values["faults"]),
        seed=values["seed"],
    )


def _check(where: str, key: str, value: Any) -> None:
    if key not in DEFAULTS:
        raise ConfigError(f"{where} has unknown key {key}; known are {', '.join(DEFAULTS)}")
    wanted = type(DEFAULTS[key])
    right = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
    if not right or isinstance(value, bool):
        raise ConfigError(f"{where}: {key} is {value!r}, {wanted.__name__} is needed")


def _clock(values: dict[str, Any], where: str) -> Clock:
    """Stepped at speed 0; the machine's own without a start and at speed 1; scaled otherwise."""
    speed = float(values["speed"])
    if speed < 0.0:
        raise ConfigError(f"{where}: speed is {speed:g}, it must be 0 (stepped) or above")
    start_ms = date_to_ts(values["start"]) if values["start"] else SystemClock().now_ms()
    if speed == 0.0:
        return ManualClock(start_ms)
    return ScaledClock(start_ms, speed) if values["start"] or speed != 1.0 else SystemClock()


def _market(values: dict[str, Any], clock: Clock) -> VenueMarket:
    data = values["data"]
    if data in ("sample", "synthetic"):
        return sample_market(values["data_seed"])
    if data == "cache":
        return store_market(Path(values["cache_dir"]), values["exchange"], clock)
    folder = Path(data).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"data is {data!r}: sample, cache or an existing directory is needed")
    settings = values["market_settings"]
    return directory_market(folder, Path(settings).expanduser() if settings else None, clock)
