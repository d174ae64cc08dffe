"""A small backtest and a small front on the sample market, in seconds: for notebooks where there is none yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from config.changes import SOURCES_KEY
from config.load import load_config
from core.paths import SOURCE_ROOT
from optimization.members import PARETO
from optimization.run_files import ROOT
from runs.data import Config, load_data
from runs.program_config import completed
from runs.search import start_search
from runs.standalone import simulate, with_coins, write_result
from runs.stored_results import newest_result

EXAMPLE = SOURCE_ROOT / "configs" / "examples" / "sample.json"


def small_config(days: int = 10, coins: Sequence[str] = ("BTC", "ETH", "SOL")) -> Config:
    """The shipped example on some days and coins, with a search of a few seconds."""
    config = load_config(EXAMPLE)
    start = date.fromisoformat(config["backtest"]["start_date"])
    config["backtest"]["end_date"] = str(start + timedelta(days=days))
    config["live"]["approved_coins"] = {"long": list(coins), "short": list(coins)}
    config.pop(SOURCES_KEY, None)  # the list above counts, not what the file said
    config["logging"]["level"] = 0
    config["optimize"] |= {
        "scoring": ["adg_usd", "drawdown_worst_usd", "sharpe_ratio_usd"], "limits": [], "iters": 60,
        "population_size": 20, "crossover_probability": 0.64, "mutation_probability": 0.34, "n_cpus": 1, "seed": 1,
    }  # fmt: skip
    return config


def newest_or_own_backtest(config: Config, root: Path = Path("backtests")) -> Path:
    """The newest result below `root`, else that of the config (on its first dataset), run now."""
    return newest_result(root) or _backtest(config)


def _backtest(config: Config) -> Path:
    prepared = load_data(completed(config, {}, {}), {})
    dataset = prepared.datasets[0]
    config = with_coins(prepared.config, dataset.name, dataset.coins)
    data = (dataset, dataset.coins)
    root = Path(config["backtest"]["base_dir"])
    return write_result(simulate(config, dataset).result, config, data, root, plot_coins=False)


def newest_or_own_front(config: Config, root: Path = ROOT) -> Path:
    """The run below `root` whose front changed last, else a search with the config, run now."""
    found = [folder for folder in root.glob(f"*/{PARETO}") if any(folder.glob("*.json"))]
    if found:
        return max(found, key=lambda folder: folder.stat().st_mtime_ns).parent
    return start_search(completed(config, {}, {}), {})
