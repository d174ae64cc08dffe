"""The directory of a run: its name, its files, `run.json` (`optimizer_pareto_tools.md` 6.1, 13.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.clock import DAY_MS, Clock
from core.dates import date_to_ts, ts_to_date
from core.errors import DataError, RunError, UsageError
from core.files import read_json, write_json
from core.rng import draw_seed

ROOT = Path("optimize_results")
HOLDOUT_FILE = "holdout.json"
MANY_COINS = 6


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Paths in a run's directory."""

    directory: Path

    @property
    def results(self) -> Path:
        return self.directory / "all_results.bin"

    @property
    def candidates(self) -> Path:
        return self.directory / "candidates.bin"

    @property
    def checkpoint(self) -> Path:
        return self.directory / "checkpoint.msgpack"

    @property
    def info(self) -> Path:
        return self.directory / "run.json"

    @property
    def pareto(self) -> Path:
        return self.directory / "pareto"

    def write_info(self, info: Mapping[str, Any]) -> None:
        write_json(self.info, info)

    def read_info(self) -> dict[str, Any]:
        """What `run.json` says. Raises UsageError for a directory that is no run, DataError for a damaged file."""
        try:
            info = read_json(self.info)
        except FileNotFoundError as exc:
            raise UsageError(f"{self.directory} has no run.json: it is no run that can be resumed{self.hint}") from exc
        if not isinstance(info, dict) or not isinstance(info.get("config"), dict):
            raise DataError(f"{self.info} holds no run: it has no config")
        return info

    @property
    def hint(self) -> str:
        """What to do with a run that cannot be resumed."""
        return f"; start a new run from its front: --start {self.pareto}" if self.pareto.is_dir() else ""


def run_name(config: Mapping[str, Any], coins: Sequence[str], clock: Clock, *, suite: bool) -> str:
    """The name of a new run's directory: time, exchanges, days, coins, eight random hex digits."""
    backtest = config["backtest"]
    stamp = ts_to_date(clock.now_ms() // 1000 * 1000).replace(":", "_")
    exchanges = "combined" if backtest["combine_ohlcvs"] else "_".join(backtest["exchanges"])
    days = round((date_to_ts(str(backtest["end_date"])) - date_to_ts(str(backtest["start_date"]))) / DAY_MS)
    label = "_".join(sorted(coins)) if len(coins) <= MANY_COINS else f"{len(coins)}_coins"
    if suite:
        label = f"suite_{len(coins)}_coins"
    return f"{stamp}_{exchanges}_{days}days_{label}_{draw_seed() & 0xFFFFFFFF:08x}"


def new_run(root: Path, name: str) -> RunFiles:
    """Make the directory of a new run. Raises RunError when that cannot be done."""
    directory = root / name
    try:
        directory.mkdir(parents=True)
    except OSError as exc:
        raise RunError(f"cannot make {directory}: {exc.strerror or exc}") from exc
    return RunFiles(directory)
