"""Every member of a front on data that its search has not seen: files, table, figure (`additions.md` 6)."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.changes import Config
from config.holdout import Holdout, left_over, overlap, parse_holdout, window_label
from config.scenarios import Window
from core.clock import SystemClock
from core.errors import DataError
from core.files import write_json, write_text
from core.progress import Progress
from optimization.archive import member_text
from optimization.context import CandidateRun, build_context, engine_bundle
from optimization.dispatch import Dispatcher
from optimization.evaluator import Evaluator
from optimization.executors.local import LocalExecutor
from optimization.holdout import Judged, mean_values, median_degradation, member_block, rank_correlation, ranks
from optimization.members import HOLDOUT, Member, pareto_dir, read_members, run_dir
from optimization.outcome import Judge, Outcome
from optimization.run_files import HOLDOUT_FILE, RunFiles
from optimization.scoring import Scored, Scoring
from optimization.settings import Plan
from optimization.space import Vector
from runs.program_config import completed
from runs.search_runs import SearchData, prepare_search

logger = logging.getLogger("optimize")


@dataclass(frozen=True, slots=True)
class Validation:
    """A validated front: members with their places inside and outside of the search, best outside first."""

    labels: tuple[str, ...]
    members: tuple[Judged, ...]
    rank_in: Mapping[str, int]
    rank_out: Mapping[str, int]
    correlation: float | None

    @property
    def degradation(self) -> dict[str, float | None]:
        return median_degradation(self.members)


def validate_front(pareto: Path, plan: Plan, data: SearchData, config: Config) -> Validation:
    """Evaluate all members of a folder on the held-out runs; their files and `holdout.json` are written."""
    from reporting.holdout_tables import print_holdout  # rich takes a tenth of a second

    members = read_members(pareto)
    validation = judge_front(members, plan, data, config)
    _write(members, validation, run_dir(pareto))
    print_holdout(_rows(validation), validation.labels, validation.degradation, validation.correlation)
    return validation


def validate_run(
    directory: Path, holdout: Holdout | None, values: Mapping[str, Any], options: Mapping[str, Any]
) -> Validation:
    """Validate the front of a run; `holdout` in place of what its config says. Raises UsageError, DataError."""
    pareto = pareto_dir(directory)
    config = completed(config_of_run(directory), values, options)
    stated = parse_holdout(config["optimize"].get("holdout"))
    plan = Plan.of(config)
    data = prepare_search(config, options, SystemClock(), holdout or stated)
    if holdout is not None:
        _warn_of_searched_dates(config, stated, holdout)
    return validate_front(pareto, plan, data, config)


def config_of_run(directory: Path) -> Config:
    """The config of a run; of a folder of members without one that of the first member."""
    files = RunFiles(run_dir(pareto_dir(directory)))
    if files.info.exists():
        config: Config = files.read_info()["config"]
        return config
    return read_members(pareto_dir(directory))[0].entry


def _warn_of_searched_dates(config: Config, stated: Holdout | None, holdout: Holdout) -> None:
    base = Window(str(config["backtest"]["start_date"]), str(config["backtest"]["end_date"]))
    searched = left_over(base, (stated or Holdout()).held_out(base))
    for window in holdout.held_out(base):
        if any(overlap(window, part) for part in searched):
            logger.warning("%s: the search has seen these dates, or a part of them", window_label(window))


def judge_front(members: Sequence[Member], plan: Plan, data: SearchData, config: Config) -> Validation:
    """Evaluate members on the held-out runs."""
    if not data.held_out:
        raise DataError("there is no data outside of the search: name some with --holdout or optimize.holdout")
    scoring = Scoring.of(config, suite=False)  # each label is judged by itself
    vectors = {member.id: tuple(plan.space.values(member.entry["bot"])) for member in members}
    results: dict[str, dict[str, Scored | None]] = {member.id: {} for member in members}
    for label, runs in data.held_out.items():
        found = _evaluated(vectors, plan, runs, data, scoring, label)
        for identity, scored in found.items():
            results[identity][label] = scored
    judged = [
        Judged(member.id, results[member.id], mean_values(results[member.id], scoring), _inside(member, scoring))
        for member in members
    ]
    rank_in = ranks([one.inside for one in judged], [member.violation for member in members], scoring)
    rank_out = ranks([one.outside for one in judged], [one.violation for one in judged], scoring)
    ids = [one.id for one in judged]
    return Validation(
        labels=tuple(data.held_out),
        members=tuple(one for _, one in sorted(zip(rank_out, judged, strict=True), key=lambda pair: pair[0])),
        rank_in=dict(zip(ids, rank_in, strict=True)),
        rank_out=dict(zip(ids, rank_out, strict=True)),
        correlation=rank_correlation(rank_in, rank_out),
    )


def _inside(member: Member, scoring: Scoring) -> dict[str, float | None]:
    return {objective.name: member.values.get(objective.metric) for objective in scoring.objectives}


def _evaluated(
    vectors: Mapping[str, Vector],
    plan: Plan,
    runs: Sequence[CandidateRun],
    data: SearchData,
    scoring: Scoring,
    label: str,
) -> dict[str, Scored | None]:
    """Each member's result under one label; None for one that cannot be simulated there."""
    datasets = data.prepared.datasets
    context = build_context(plan.space, plan.gene_overrides, runs, datasets)
    judge = Judge(context, scoring)
    executor = LocalExecutor(Evaluator(context, [engine_bundle(dataset) for dataset in datasets]), plan.workers)
    dispatcher = Dispatcher(executor, len(context.runs), split=False)
    numbered = dict(enumerate(vectors.items()))
    found: dict[str, Scored | None] = {}
    try:
        with Progress(f"hold-out {label}") as progress:
            for reply in dispatcher.evaluated({number: vector for number, (_, vector) in numbered.items()}):
                name, vector = numbered[reply.id]
                found[name] = _scored(name, judge.outcome(vector, reply))
                progress(label, len(found), len(vectors))
    finally:
        executor.close()
    return found


def _scored(name: str, outcome: Outcome) -> Scored | None:
    if outcome.error is not None:
        logger.warning("member %s could not be simulated: %s", name, outcome.error)
        return None
    return Scored(outcome.fitness.objectives, outcome.fitness.violation, dict(outcome.block))


def _write(members: Sequence[Member], validation: Validation, directory: Path) -> None:
    by_id = {one.id: one for one in validation.members}
    for member in members:
        block = member_block(by_id[member.id], validation.rank_in[member.id], validation.rank_out[member.id])
        write_text(member.path, member_text({**member.entry, HOLDOUT: block}), fsync=False)
    summary = {
        "labels": list(validation.labels),
        "rank_correlation": validation.correlation,
        "degradation": validation.degradation,
        "members": _rows(validation),
    }
    write_json(directory / HOLDOUT_FILE, json.loads(json.dumps(summary, allow_nan=False)))


def _rows(validation: Validation) -> list[dict[str, Any]]:
    """One entry a member, best outside first."""
    return [
        {
            "id": one.id,
            "rank_in": validation.rank_in[one.id],
            "rank_out": validation.rank_out[one.id],
            "inside": dict(one.inside),
            "outside": dict(one.outside),
            "degradation": one.degradation(),
            "violation": one.violation if one.violation < float("inf") else None,
        }
        for one in validation.members
    ]
