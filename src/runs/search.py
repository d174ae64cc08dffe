"""A run of the optimizer: a new one, or one that was stopped (`optimizer_pareto_tools.md` 1.3, 13.6)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.changes import Config
from config.dump import strip_metadata, without_runtime_keys
from config.schema import SECTIONS
from core.clock import Clock, SystemClock
from core.dates import ts_to_date
from core.errors import ConfigError, DataError, UsageError
from core.rng import draw_seed
from optimization.checkpoint import State, read_checkpoint
from optimization.context import build_context
from optimization.identity import differences, identity_hash, identity_of
from optimization.initial import seed_vectors
from optimization.run_files import ROOT, RunFiles, new_run, run_name
from optimization.settings import Plan
from optimization.space import Vector
from runs.program_config import completed, set_up_logging
from runs.search_runs import prepare_search
from runs.search_sitting import PreparedSearch, sit
from runs.start_configs import start_configs, start_files
from runs.validate import validate_front

logger = logging.getLogger("optimize")

MAY_CHANGE = (
    "optimize.iters", "optimize.n_cpus", "optimize.executor", "optimize.checkpoint_interval_s", "logging.level",
)  # fmt: skip
END = ("finished", "records", "records_sha256", "last_sitting")


def start_search(config: Config, options: Mapping[str, Any], root: Path = ROOT) -> Path:
    """A new run below `root`; its directory. Raises KeyboardInterrupt when it was stopped by a signal."""
    clock = SystemClock()
    plan = Plan.of(config)
    seeds = _starting_vectors(plan, options.get("start", ()), clock)
    seed = draw_seed() if plan.seed is None else int(plan.seed)
    run = _prepare(config, options, plan, seed, seeds)
    suite = bool(config["backtest"]["suite"]["enabled"])
    files = new_run(root, run_name(run.config, _coins_in_name(run, suite=suite), clock, suite=suite))
    info = {
        "config": run.config,
        "seed": str(seed),
        "identity": run.identity,
        "started": ts_to_date(clock.now_ms()),
        "executor": plan.executor,
        "hosts": 1,
    }
    files.write_info(info)
    logger.info("results go to %s, seed %d", files.directory, seed)
    _finish(run, files, info, clock)
    return files.directory


def resume_search(directory: Path, values: Mapping[str, Any], options: Mapping[str, Any]) -> Path:
    """Go on with a stopped run as if it had never stopped. Raises as `start_search`."""
    clock = SystemClock()
    files = RunFiles(_as_named_first(directory))
    info = files.read_info()
    _check_changes(values, options)
    checkpoint = read_checkpoint(files)
    config = completed(info["config"], values, {})
    set_up_logging(config, options)
    plan = Plan.of(config)
    run = _prepare(config, options, plan, int(info["seed"]), ())
    changed = list(differences(info["identity"], run.identity))
    if changed:
        raise DataError(f"{directory} cannot be resumed: it has other {', '.join(changed)} now{files.hint}")
    if checkpoint["identity"] != identity_hash(run.identity):
        raise DataError(f"{files.checkpoint} belongs to another run than run.json{files.hint}")
    logger.info("resuming %s after %d evaluations, seed %d", directory, checkpoint["records"], run.seed)
    # what may change holds for later sittings, too; what was said of an end is no longer true
    info = {name: value for name, value in info.items() if name not in END} | {"config": run.config}
    files.write_info(info)
    _finish(run, files, info, clock, checkpoint)
    return directory


def _as_named_first(directory: Path) -> Path:
    """From the working directory where it lies below that: records hold the name that a new run would have."""
    absolute, here = directory.expanduser().resolve(), Path.cwd().resolve()
    return absolute.relative_to(here) if absolute.is_relative_to(here) else absolute


def _starting_vectors(plan: Plan, paths: Sequence[str], clock: Clock) -> tuple[Vector, ...]:
    if not paths:
        return ()
    vectors = seed_vectors(start_configs(start_files(paths), clock), plan.space)
    if not vectors:
        raise UsageError(f"--start {' '.join(paths)}: none of the files is a config that fits the bounds")
    return tuple(vectors)


def _check_changes(values: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    fixed = {"start": "--start", "suite": "--suite", "suite_config": "--suite-config", "fine_tune_params": "-ft"}
    refused = [name for name in values if name not in MAY_CHANGE] + [fixed[name] for name in options if name in fixed]
    if refused:
        allowed = ", ".join(MAY_CHANGE)
        raise ConfigError(f"a resumed run cannot have another {', '.join(refused)}; it may have another {allowed}")


def _prepare(
    config: Config, options: Mapping[str, Any], plan: Plan, seed: int, seeds: tuple[Vector, ...]
) -> PreparedSearch:
    data = prepare_search(config, options, SystemClock(), plan.holdout)
    datasets = data.prepared.datasets
    context = build_context(plan.space, plan.gene_overrides, data.runs, datasets)
    final = _recorded(data.prepared.config, {d.name: list(d.coins) for d in datasets})
    schedule = {"chunk_size": plan.schedule.chunk_size, "lag": plan.schedule.lag}
    identity = identity_of(final, seed, context, datasets, schedule)
    return PreparedSearch(final, plan, context, data, seed, identity, seeds, options.get("ray_address"))


def _recorded(config: Config, coins: Mapping[str, Sequence[str]]) -> Config:
    """The config as records hold it: six sections; the coins of each dataset unless scenarios have their own."""
    kept: Config = strip_metadata(without_runtime_keys(config))
    kept = {name: part for name, part in kept.items() if name in SECTIONS and name != "paper"}
    if not config["backtest"]["suite"]["enabled"]:
        kept["backtest"]["coins"] = dict(coins)
    return kept


def _coins_in_name(run: PreparedSearch, *, suite: bool) -> list[str]:
    runs = run.context.runs[:1] if suite else run.context.runs
    return sorted({coin for one in runs for coin in one.backtest_params["coins"]})


def _finish(
    run: PreparedSearch, files: RunFiles, info: Mapping[str, Any], clock: Clock, checkpoint: State | None = None
) -> None:
    """Search to the end, look at what was held out, and tell."""
    done = sit(run, files, checkpoint)
    finished = {"finished": ts_to_date(clock.now_ms()), "records": done.records, "last_sitting": done.sitting}
    files.write_info({**info, **finished, "records_sha256": done.records_sha256})
    if run.data.held_out:
        validate_front(files.pareto, run.plan, run.data, run.config)
    logger.info(
        "records_sha256 %s; %.1f evaluations a second, %.1f %% of the workers' time outside the engine",
        done.records_sha256, done.sitting["evaluations"] / done.sitting["seconds"], done.sitting["outside_percent"],
    )  # fmt: skip
    logger.info(
        "Optimization complete: %d generations, %d evaluations, front %d, %.1f s; %s",
        run.plan.schedule.generations, done.records, done.front, done.elapsed_s, files.pareto,
    )  # fmt: skip
