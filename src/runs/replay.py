"""A member of a front run again, on the data and in the way of its search, but with fills and equity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from config.holdout import parse_holdout
from core.clock import SystemClock
from core.errors import RunError
from optimization.context import CandidateRun
from optimization.members import Member
from optimization.scoring import Scored, Scoring
from runs.program_config import completed
from runs.search_runs import prepare_search
from simulation.payload import build_view_payload
from simulation.results import BacktestResult, backtest_result
from simulation.run import execute_backtest


@dataclass(frozen=True, slots=True)
class Replay:
    """What a member's runs give now: results by scenario (one without a suite) and dataset, and their score."""

    results: Mapping[str, Mapping[str, BacktestResult]]
    scored: Scored

    def differences(self, member: Member) -> list[float]:
        """Each objective now minus the stored one; the stored ones are rounded (6.4)."""
        return [now - then for now, then in zip(self.scored.objectives, member.objectives, strict=True)]


def replay(member: Member) -> Replay:
    """Run a member again. Raises ConfigError, DataError, RunError."""
    config = completed(member.entry, {}, {})
    suite = bool(config["backtest"]["suite"]["enabled"])
    scoring = Scoring.of(config, suite=suite)
    holdout = parse_holdout(config["optimize"].get("holdout"))
    results: dict[str, dict[str, BacktestResult]] = {}
    for run in prepare_search(config, {}, SystemClock(), holdout).runs:
        results.setdefault(run.label, {})[f"{run.view.name} {run.part}".strip()] = _simulated(run)
    analyses = {label: {name: r.analysis for name, r in of.items()} for label, of in results.items()}
    return Replay(results, scoring.score(analyses))


def _simulated(run: CandidateRun) -> BacktestResult:
    view = run.view
    arrays = (view.btc_usd, view.timestamps)
    payload = build_view_payload(view.hlcvs, view.settings, run.config, view.name, *arrays, all_coins=view.coins)
    params = {**payload.backtest_params, "global_warmup_bars": run.warmup_minutes}
    try:
        fills, equities, analysis = execute_backtest(replace(payload, backtest_params=params), run.config)
    except ValueError as exc:
        raise RunError(f"the engine refused the run: {exc}") from exc
    return backtest_result(fills, equities, analysis, data_note=view.data_note)
