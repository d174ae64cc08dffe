"""Fronts of made-up members in files, as the optimizer writes them: for tests of whatever reads members."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from config.dump import strip_metadata
from config.load import load_config
from config.objectives import metric_weight
from optimization.archive import entry_id, member_text

SCORING = ["adg_pnl", "drawdown_worst_usd", "loss_profit_ratio"]
METRICS = [*SCORING, "adg_usd", "gain_usd", "sharpe_ratio_usd", "position_held_hours_max", "equity_choppiness_usd"]
TUNED = ["ema_span_0", "entry_grid_spacing_pct", "close_grid_qty_pct", "n_positions", "total_wallet_exposure_limit"]
STAMP = "2026-01-02T03_04_05_combined_90days_BTC_ETH_0123abcd"
HOLDOUT_LABEL = "last_20pct"


@functools.cache
def base_config() -> dict[str, Any]:
    """The template for a few days of the market `sample`."""
    config: dict[str, Any] = strip_metadata(load_config())
    config["backtest"] |= {
        "exchanges": ["sample"], "start_date": "2025-01-10", "end_date": "2025-01-13", "btc_collateral_cap": 0.0,
    }  # fmt: skip
    config["live"] |= {"approved_coins": {"long": ["BTC", "ETH"], "short": []}, "minimum_coin_age_days": 0}
    config["live"]["warmup_ratio"] = 0.01
    config["optimize"] |= {"scoring": list(SCORING), "limits": limits()}
    return config


def limits() -> list[dict[str, Any]]:
    return [
        {"metric": "drawdown_worst_usd", "penalize_if": "greater_than", "value": 0.9},
        {"metric": "adg_pnl", "penalize_if": "less_than", "stat": "mean", "value": 0.0001},
        {"metric": "loss_profit_ratio", "penalize_if": "outside_range", "range": [0, 0.95]},
    ]


def stats_of(values: Sequence[float]) -> dict[str, float]:
    return {"mean": float(np.mean(values)), "min": min(values), "max": max(values), "std": float(np.std(values))}


def member_entry(
    values: Mapping[str, float],
    *,
    bot: Mapping[str, float] | None = None,
    scenarios: Mapping[str, float] | None = None,
    scoring: Sequence[str] = SCORING,
    violation: float = 0.0,
) -> dict[str, Any]:
    """An entry (6.3): `values` by metric, `bot` of the long side, `scenarios` label -> factor on the values."""
    entry = copy.deepcopy(base_config())
    entry["optimize"]["scoring"] = list(scoring)
    entry["bot"]["long"] |= dict(bot or {})
    entry |= {"results_dir": f"optimize_results/{STAMP}", "results_filename": "all_results.bin"}
    if scenarios:
        per = {name: {label: value * f for label, f in scenarios.items()} for name, value in values.items()}
        entry["suite_metrics"] = {
            "metrics": {
                name: {"stats": stats_of(list(by.values())), "aggregated": values[name], "scenarios": by}
                for name, by in per.items()
            },
            "scenario_labels": list(scenarios),
        }
        block: dict[str, Any] = {}
    else:
        block = {"stats": {name: stats_of([value]) for name, value in values.items()}}
    block["objectives"] = {f"w_{i}": (metric_weight(m) or 1.0) * values[m] for i, m in enumerate(scoring)}
    entry["metrics"] = block | {"constraint_violation": violation}
    return entry


def write_member(folder: Path, entry: Mapping[str, Any], name: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name or entry_id(entry)}.json"
    path.write_text(member_text(entry))
    return path


def made_up_values(rng: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Metrics of a member that trades return against risk, and the parameters that go with them."""
    risk = float(rng.uniform(0.1, 1.0))
    adg = 0.0004 + 0.002 * risk * float(rng.uniform(0.8, 1.0))
    values = {
        "adg_pnl": adg,
        "drawdown_worst_usd": 0.08 + 0.5 * risk**1.5,
        "loss_profit_ratio": 0.7 - 0.5 * risk * float(rng.uniform(0.3, 1.0)),
        "adg_usd": adg * 0.93,
        "gain_usd": 1 + 90 * adg,
        "sharpe_ratio_usd": 0.3 - 0.1 * risk + float(rng.normal(0, 0.02)),
        "position_held_hours_max": 100 + 900 * risk + float(rng.uniform(0, 50)),
        "equity_choppiness_usd": 0.05 + 0.1 * risk,
    }
    bot = {
        "ema_span_0": round(300 + 900 * risk), "entry_grid_spacing_pct": round(0.06 - 0.04 * risk, 4),
        "close_grid_qty_pct": round(float(rng.uniform(0.1, 0.9)), 3), "n_positions": int(rng.integers(2, 9)),
        "total_wallet_exposure_limit": round(0.5 + 1.5 * risk, 3),
    }  # fmt: skip
    return {k: round(v, 8) for k, v in values.items()}, bot


def holdout_block(values: Mapping[str, float], rng: np.random.Generator, scoring: Sequence[str]) -> dict[str, Any]:
    """What validation adds to a member: the metrics of one window outside of the search."""
    out = {name: value * float(rng.uniform(0.5, 1.2)) for name, value in values.items()}
    objectives = {f"w_{i}": (metric_weight(m) or 1.0) * out[m] for i, m in enumerate(scoring)}
    metrics = {"stats": {name: stats_of([value]) for name, value in out.items()}}
    window = {"metrics": metrics, "objectives": objectives, "constraint_violation": 0.0}
    degradation = {m: out[m] / values[m] if values[m] else None for m in scoring}
    return {"windows": {HOLDOUT_LABEL: window}, "degradation": degradation, "rank_in": 0, "rank_out": 0}


def write_run(
    root: Path, *, count: int = 30, suite: bool = False, holdout: bool = False, name: str = STAMP, seed: int = 0
) -> Path:
    """A run directory with `count` members; returns it."""
    rng = np.random.default_rng(seed)
    factors = {"base": 1.0, "majors": 0.9, "calm": 0.75}
    entries = []
    for _ in range(count):
        values, bot = made_up_values(rng)
        entry = member_entry(values, bot=bot, scenarios=factors if suite else None)
        if holdout:
            entry["holdout"] = holdout_block(values, rng, SCORING)
        entries.append(entry)
    if holdout:
        order = rng.permutation(count)
        for rank, entry in enumerate(entries):
            entry["holdout"] |= {"rank_in": rank + 1, "rank_out": int(order[rank]) + 1}
        (root / name).mkdir(parents=True, exist_ok=True)
        rows = [
            {"id": entry_id(e), "rank_in": e["holdout"]["rank_in"], "rank_out": e["holdout"]["rank_out"]}
            for e in entries
        ]
        (root / name / "holdout.json").write_text(json.dumps({"rank_correlation": 0.42, "members": rows}))
    for entry in entries:
        write_member(root / name / "pareto", entry)
    return root / name


def write_points(root: Path, points: Sequence[Sequence[float]], name: str = "run") -> Path:
    """A run whose members have these objectives, all minimised; their files sort in the given order."""
    scoring = [f"m{i}" for i in range(len(points[0]))]
    for number, point in enumerate(points):
        entry = member_entry(dict(zip(scoring, map(float, point), strict=True)), scoring=scoring)
        write_member(root / name / "pareto", entry, f"{number:064x}")
    return root / name
