"""Every directory and file name the programs read or write, in one place.

Relative locations belong to the working directory, which is where people keep their configs and results; what ships
with the program (template, coin list, crate) is found from the source tree wherever one stands.
"""

from __future__ import annotations

from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parents[2]
CRATE_DIR = SOURCE_ROOT / "passivbot-rust"
TEMPLATE_CONFIG = SOURCE_ROOT / "configs" / "template.json"

DEFAULT_CACHE_DIR = Path("caches")
CUSTOM_ENDPOINTS = Path("configs/custom_endpoints.json")  # used if it exists and nothing else is said


def ohlcv_dir(cache_dir: Path, exchange: str) -> Path:
    """Root of the candle store of one exchange (short name)."""
    return cache_dir / "ohlcv" / exchange


def markets_file(cache_dir: Path, exchange: str) -> Path:
    """The CCXT `markets` mapping of one exchange."""
    return cache_dir / exchange / "markets.json"


def coin_to_symbol_file(cache_dir: Path, exchange: str) -> Path:
    return cache_dir / exchange / "coin_to_symbol_map.json"


def symbol_to_coin_file(cache_dir: Path) -> Path:
    return cache_dir / "symbol_to_coin_map.json"


def first_timestamps_file(cache_dir: Path, exchange: str) -> Path:
    """First candle of each coin on one exchange: `{coin: ms}`."""
    return cache_dir / exchange / "first_timestamps.json"


def unified_first_timestamps_file(cache_dir: Path) -> Path:
    """First candle of each coin on any exchange: `{coin: ms}`."""
    return cache_dir / "first_ohlcv_timestamps_unified.json"


def unified_first_timestamps_by_exchange_file(cache_dir: Path) -> Path:
    """First candle of each coin by exchange: `{coin: {ccxt_id: ms}}`."""
    return cache_dir / "first_ohlcv_timestamps_unified_exchange_specific.json"


def all_fills_dir(cache_dir: Path) -> Path:
    """Root of the fill histories of all accounts: `{exchange}/{user}/YYYY-MM-DD.json`."""
    return cache_dir / "fill_events"


def fills_dir(cache_dir: Path, exchange: str, user: str) -> Path:
    """Where the fills of one account are kept; `exchange` is the short name."""
    return all_fills_dir(cache_dir) / exchange / user


def datasets_dir(cache_dir: Path) -> Path:
    """Prepared backtest arrays, one directory a dataset."""
    return cache_dir / "hlcvs_data"


def resolve_input(path: str | Path) -> Path | None:
    """An existing file the user named: as given (absolute or from the working directory), else from the source tree."""
    given = Path(path).expanduser()
    for candidate in (given, SOURCE_ROOT / given):
        if candidate.is_file():
            return candidate
    return None
