"""A run of the optimizer: a new one, or one that was stopped (`optimizer_pareto_tools.md` 1.3, 13.6)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.changes import Config
from config.dump import strip_metadata, without_runtime_keys
from config.schema import SECTIONS
from core.clock import Clock, SystemClock
from core.dates import ts_to_date
from core.errors import ConfigError, DataError, PassivbotError, RunError, UsageError
from core.rng import Streams, draw_seed
from optimization.candidates_log import CandidateFormat
from optimization.checkpoint import read_checkpoint
from optimization.context import EvalContext, build_context, engine_bundle
from optimization.dispatch import Dispatcher
from optimization.driver import Parts, Search, Stopped
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Executor
from optimization.executors.registry import Work, make_executor
from optimization.identity import differences, identity_hash, identity_of
from optimization.initial import seed_vectors
from optimization.outcome import Judge
from optimization.recorder import Recorder
from optimization.report import Report
from optimization.run_files import ROOT, RunFiles, new_run, run_name
from optimization.run_logs import RecordSettings
from optimization.search_state import SearchState
from optimization.settings import Plan
from optimization.space import Vector
from optimization.stop import Stop, stopped_by_signals
from runs.program_config import completed, set_up_logging
from runs.search_display import SearchDisplay
from runs.search_runs import SearchData, prepare_search
from runs.start_configs import start_configs, start_files
from runs.validate import validate_front
from simulation.dataset import Dataset

logger = logging.getLogger("optimize")

MAY_CHANGE = (
    "optimize.iters", "optimize.n_cpus", "optimize.executor", "optimize.checkpoint_interval_s", "logging.level",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run whose data are there. `config` has final coins and no metadata; `seeds` are starting vectors."""

    config: Config
    plan: Plan
    context: EvalContext
    data: SearchData
    seed: int
    identity: Mapping[str, Any]
    seeds: tuple[Vector, ...] = ()
    address: str | None = None

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        return self.data.prepared.datasets


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
    _run(run, files, info, clock)
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
    _run(run, files, info, clock, checkpoint)
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


def _prepare(config: Config, options: Mapping[str, Any], plan: Plan, seed: int, seeds: tuple[Vector, ...]) -> Prepared:
    data = prepare_search(config, options, SystemClock(), plan.holdout)
    datasets = data.prepared.datasets
    context = build_context(plan.space, plan.gene_overrides, data.runs, datasets)
    final = _recorded(data.prepared.config, {d.name: list(d.coins) for d in datasets})
    schedule = {"chunk_size": plan.schedule.chunk_size, "lag": plan.schedule.lag}
    identity = identity_of(final, seed, context, datasets, schedule)
    return Prepared(final, plan, context, data, seed, identity, seeds, options.get("ray_address"))


def _recorded(config: Config, coins: Mapping[str, Sequence[str]]) -> Config:
    """The config as records hold it: six sections; the coins of each dataset unless scenarios have their own."""
    kept: Config = strip_metadata(without_runtime_keys(config))
    kept = {name: part for name, part in kept.items() if name in SECTIONS and name != "paper"}
    if not config["backtest"]["suite"]["enabled"]:
        kept["backtest"]["coins"] = dict(coins)
    return kept


def _coins_in_name(run: Prepared, *, suite: bool) -> list[str]:
    runs = run.context.runs[:1] if suite else run.context.runs
    return sorted({coin for one in runs for coin in one.backtest_params["coins"]})


def _run(
    run: Prepared, files: RunFiles, info: Mapping[str, Any], clock: Clock, checkpoint: Mapping[str, Any] | None = None
) -> None:
    """One sitting, to the end or until it is stopped."""
    stop, plan = Stop(), run.plan
    recorder = Recorder(files, _record_settings(run))
    evaluator = Evaluator(run.context, [engine_bundle(dataset) for dataset in run.datasets])
    state = None if checkpoint is None else SearchState.of(checkpoint)
    names = [(objective.name, objective.weight) for objective in plan.scoring.objectives]
    with ExitStack() as stack:
        started: list[Executor] = []
        stack.enter_context(stopped_by_signals(stop, lambda: _kill(started)))
        work = Work(evaluator, run.datasets, plan.workers, plan.timeout_s, stop, stack, run.address)
        executor = make_executor(plan.executor, work)
        started.append(executor)
        stack.callback(executor.close)
        display = stack.enter_context(SearchDisplay(names))
        report = Report(
            [name for name, _ in names],
            plan.expected(len(run.seeds), run.config["optimize"]),
            plan.schedule.generation,
            display.show,
            seconds_before=0.0 if state is None else state.elapsed_s,
        )
        dispatcher = Dispatcher(executor, len(run.context.runs), split=plan.split_scenarios)
        judge = Judge(run.context, plan.scoring)
        parts = Parts(
            plan.space, plan.sampler, plan.schedule, Streams.of(run.seed), dispatcher, judge, recorder, report, stop,
            run.config["bot"], plan.checkpoint_interval_s,
        )  # fmt: skip
        search = Search(parts, run.seeds)
        stack.callback(recorder.close)
        recorder.open()
        with _checkpoint_at_the_end(search):
            if checkpoint is not None and state is not None:
                search.restore(state, recorder.restore(checkpoint))
            logger.info("Initial population size: %d", plan.sampler.population_size)
            sitting = Sitting(recorder.records)
            search.run()
        told = sitting.told(search.engine_seconds, recorder.records, executor.workers)
        recorder.finish()
    finished = {"finished": ts_to_date(clock.now_ms()), "records": recorder.records, "last_sitting": told}
    files.write_info({**info, **finished, "records_sha256": recorder.records_sha256})
    if run.data.held_out:
        validate_front(files.pareto, plan, run.data, run.config)
    logger.info(
        "records_sha256 %s; %.1f evaluations a second, %.1f %% of the workers' time outside the engine",
        recorder.records_sha256, told["evaluations"] / told["seconds"], told["outside_percent"],
    )  # fmt: skip
    logger.info(
        "Optimization complete: %d generations, %d evaluations, front %d, %.1f s; %s",
        plan.schedule.chunks * plan.schedule.chunk_size // max(1, plan.schedule.generation), recorder.records,
        len(recorder.archive), report.elapsed_s(), files.pareto,
    )  # fmt: skip


class Sitting:
    """How the time of a sitting was spent (`additions.md` 15)."""

    def __init__(self, records: int) -> None:
        self._records, self._wall_s = records, time.perf_counter()
        self._driver_s, self._all_s = time.thread_time(), time.process_time()

    def told(self, engine_seconds: float, records: int, workers: int) -> dict[str, Any]:
        """Evaluations, seconds, and per cent outside the engine: of the workers' time, and of the processor time that
        this process has used (which counts the driver's thread even where it runs beside them)."""
        seconds = time.perf_counter() - self._wall_s
        driver_s, all_s = time.thread_time() - self._driver_s, time.process_time() - self._all_s
        return {
            "evaluations": records - self._records,
            "seconds": seconds,
            "workers": workers,
            "outside_percent": 100.0 * (1.0 - engine_seconds / (seconds * workers)),
            "outside_cpu_percent": 100.0 * driver_s / all_s if all_s > 0 else None,
        }


def _kill(started: Sequence[Executor]) -> None:
    """What a second signal does. An executor that is still being started has to be left in the middle of it."""
    if not started:
        raise KeyboardInterrupt
    for executor in started:
        executor.close(hard=True)


@contextmanager
def _checkpoint_at_the_end(search: Search) -> Iterator[None]:
    """Whatever ends the search early, the last boundary is on the disk."""
    try:
        yield
    except Stopped:
        search.write_checkpoint()
        raise KeyboardInterrupt from None
    except BaseException as exc:
        if not isinstance(exc, PassivbotError):
            logger.exception("the search failed; it can be resumed")
        with suppress(RunError):  # one attempt: what is wrong is told below
            search.write_checkpoint()
        raise


def _record_settings(run: Prepared) -> RecordSettings:
    optimize = run.config["optimize"]
    return RecordSettings(
        config=run.config,
        layout=CandidateFormat(len(run.plan.space), len(run.plan.scoring.objectives)),
        identity=identity_hash(run.identity),
        digits=int(optimize["round_to_n_significant_digits"]),
        max_size=int(optimize["pareto_max_size"]),
        write_all=bool(optimize["write_all_results"]),
        compress=bool(optimize["compress_results_file"]),
    )
