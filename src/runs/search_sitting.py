"""One sitting of a search: from its first candidate, or from a checkpoint, to its end or until it is stopped."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from config.changes import Config
from core.errors import PassivbotError, RunError
from core.rng import Streams
from optimization.candidates_log import CandidateFormat
from optimization.checkpoint import State
from optimization.context import EvalContext, engine_bundle
from optimization.dispatch import Dispatcher
from optimization.driver import Parts, Search, Stopped
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Executor
from optimization.executors.registry import Work, make_executor
from optimization.identity import identity_hash
from optimization.outcome import Judge
from optimization.recorder import Recorder
from optimization.report import Report
from optimization.run_files import RunFiles
from optimization.run_logs import RecordSettings
from optimization.search_state import SearchState
from optimization.settings import Plan
from optimization.space import Vector
from optimization.stop import Stop, stopped_by_signals
from runs.search_display import SearchDisplay
from runs.search_runs import SearchData
from simulation.dataset import Dataset

logger = logging.getLogger("optimize")


@dataclass(frozen=True, slots=True)
class PreparedSearch:
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


@dataclass(frozen=True, slots=True)
class Finished:
    """A search that has reached its end: its records, and how its last sitting spent its time."""

    records: int
    records_sha256: str
    front: int
    elapsed_s: float
    sitting: dict[str, Any]


def sit(run: PreparedSearch, files: RunFiles, checkpoint: State | None = None) -> Finished:
    """Search to the end. Raises KeyboardInterrupt when a signal stopped it; the run can be resumed then."""
    stop = Stop()
    recorder = Recorder(files, _record_settings(run))
    evaluator = Evaluator(run.context, [engine_bundle(dataset) for dataset in run.datasets])
    with ExitStack() as stack:
        executor = _executor(run, evaluator, stop, stack)
        report = stack.enter_context(_shown(run, checkpoint))
        search = Search(_parts(run, executor, recorder, report, stop), run.seeds)
        stack.callback(recorder.close)
        recorder.open()
        with _checkpoint_at_the_end(search):
            if checkpoint is not None:
                search.restore(SearchState.of(checkpoint), recorder.restore(checkpoint))
            logger.info("Initial population size: %d", run.plan.sampler.population_size)
            times = SittingTimes(recorder.records)
            search.run()
        told = times.told(search.engine_seconds, recorder.records, executor.workers)
        recorder.finish()
    return Finished(recorder.records, recorder.records_sha256, len(recorder.archive), report.elapsed_s(), told)


def _executor(run: PreparedSearch, evaluator: Evaluator, stop: Stop, stack: ExitStack) -> Executor:
    """The executor, ended by the stack; from here on signals set `stop`."""
    started: list[Executor] = []
    stack.enter_context(stopped_by_signals(stop, lambda: _kill(started)))
    work = Work(evaluator, run.datasets, run.plan.workers, run.plan.timeout_s, stop, stack, run.address)
    executor = make_executor(run.plan.executor, work)
    started.append(executor)
    stack.callback(executor.close)
    return executor


@contextmanager
def _shown(run: PreparedSearch, checkpoint: State | None) -> Iterator[Report]:
    """What the search tells, shown while the context lasts."""
    objectives = [(objective.name, objective.weight) for objective in run.plan.scoring.objectives]
    with SearchDisplay(objectives) as display:
        yield Report(
            [name for name, _ in objectives],
            run.plan.expected(len(run.seeds), run.config["optimize"]),
            run.plan.schedule.generation,
            display.show,
            seconds_before=0.0 if checkpoint is None else float(checkpoint["elapsed_s"]),
        )


def _parts(run: PreparedSearch, executor: Executor, recorder: Recorder, report: Report, stop: Stop) -> Parts:
    plan = run.plan
    return Parts(
        space=plan.space,
        sampler=plan.sampler,
        schedule=plan.schedule,
        streams=Streams.of(run.seed),
        dispatcher=Dispatcher(executor, len(run.context.runs), split=plan.split_scenarios),
        judge=Judge(run.context, plan.scoring),
        recorder=recorder,
        report=report,
        stop=stop,
        bot=run.config["bot"],
        checkpoint_interval_s=plan.checkpoint_interval_s,
    )


class SittingTimes:
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


def _record_settings(run: PreparedSearch) -> RecordSettings:
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
