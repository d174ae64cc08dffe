"""Searches without an engine, and a tiny one with it, for the tests of driver, executors and recorder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from config.load import load_config
from core.clock import SystemClock
from core.rng import Streams
from core.terms import PSIDES
from optimization.candidates_log import CandidateFormat
from optimization.checkpoint import read_checkpoint
from optimization.context import EvalContext, RunTemplate, build_context
from optimization.dispatch import Dispatcher
from optimization.driver import Parts, Search
from optimization.executors.protocol import Answer, Executor, Failure, Reply, Task
from optimization.outcome import Judge
from optimization.recorder import Recorder
from optimization.report import Report
from optimization.run_files import RunFiles
from optimization.run_logs import RecordSettings
from optimization.search_state import SearchState
from optimization.settings import Plan
from optimization.space import Vector
from optimization.stop import Stop
from runs.program_config import completed
from runs.search_runs import prepare_search
from simulation.dataset import Dataset

METRICS = 106
SCORING = ["adg_usd", "drawdown_worst_usd"]


def values_of(vector: Sequence[float], run: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Metrics that depend on vector and run and nothing else."""
    return np.abs(np.sin(np.resize(np.array(vector), METRICS) * np.arange(1, METRICS + 1) + run))


@dataclass
class FakeExecutor:
    """Answers as many as it has workers, in an order of its own. `fails` tells, by task and attempt from 1, what is
    wrong with it; `on_poll` is called before each look."""

    workers: int = 1
    order: int = 0
    runs: int = 1
    fails: Callable[[Task, int], str | Failure | None] = lambda task, attempt: None
    on_poll: Callable[[FakeExecutor], None] = lambda executor: None
    waiting: list[Task] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    seen: list[Task] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.order)

    def submit(self, task: Task) -> None:
        self.waiting.append(task)
        self.seen.append(task)

    def poll(self, timeout_s: float) -> list[Reply]:
        self.on_poll(self)
        count = int(self._rng.integers(0, self.workers, endpoint=True)) if self.order else self.workers
        picked = [self.waiting.pop(self._pick()) for _ in range(min(count, len(self.waiting)))]
        return [self._reply(task) for task in picked]

    def _pick(self) -> int:
        return int(self._rng.integers(len(self.waiting))) if self.order else 0

    def _reply(self, task: Task) -> Reply:
        attempt = self.attempts[task.id] = self.attempts.get(task.id, 0) + 1
        wrong = self.fails(task, attempt)
        if wrong is not None:
            return wrong if isinstance(wrong, Failure) else Failure(task.id, wrong)
        rows = [values_of(task.vector, run) for run in task.runs or range(self.runs)]
        return Answer(task.id, np.array(rows), 0.5)

    def close(self, *, hard: bool = False) -> None:
        self.waiting.clear()


@dataclass(frozen=True)
class Shape:
    """What makes two searches the same."""

    iters: int = 48
    population: int = 24
    chunk: int = 12
    lag: int = 2
    runs: int = 1
    seeds: tuple[Vector, ...] = ()
    bounds: tuple[tuple[str, Any], ...] = ()
    write_all: bool = True
    compress: bool = False
    max_size: int = 250

    def config(self) -> dict[str, Any]:
        config = load_config()
        config["optimize"] |= {
            "iters": self.iters, "population_size": self.population, "scoring": SCORING, "limits": [],
            "pipeline": {"chunk_size": self.chunk, "lag": self.lag},
        }  # fmt: skip
        config["optimize"]["bounds"] |= dict(self.bounds)
        return config


@dataclass
class FakeSearch:
    """A search in `directory`; with `resume` the rest of one that was stopped there."""

    directory: Path
    executor: Executor
    shape: Shape = Shape()
    split: bool = False
    resume: bool = False
    interval_s: float = 60.0

    def __post_init__(self) -> None:
        config = self.shape.config()
        plan = self.plan = Plan.of(config)
        context = EvalContext(plan.space, (), tuple(_run(number) for number in range(self.shape.runs)))
        self.files, self.stop = RunFiles(self.directory), Stop()
        settings = RecordSettings(
            {name: config[name] for name in ("backtest", "bot", "coin_overrides", "live", "logging", "optimize")},
            CandidateFormat(len(plan.space), len(SCORING)), "", 3, self.shape.max_size,
            write_all=self.shape.write_all, compress=self.shape.compress,
        )  # fmt: skip
        self.directory.mkdir(parents=True, exist_ok=True)
        self.recorder = Recorder(self.files, settings)
        parts = Parts(
            plan.space, plan.sampler, plan.schedule, Streams.of(7),
            Dispatcher(self.executor, self.shape.runs, split=self.split), Judge(context, plan.scoring), self.recorder,
            Report(SCORING, 100, self.shape.population), self.stop, config["bot"], self.interval_s,
        )  # fmt: skip
        self.search = Search(parts, self.shape.seeds)

    def run(self) -> FakeSearch:
        """To the end. Raises Stopped and what else a search raises, as runs.search leaves it."""
        self.recorder.open()
        try:
            if self.resume:
                checkpoint = read_checkpoint(self.files)
                self.search.restore(SearchState.of(checkpoint), self.recorder.restore(checkpoint))
            self.search.run()
            self.recorder.finish()
        except BaseException:
            self.search.write_checkpoint()
            raise
        finally:
            self.recorder.close()
        return self

    @property
    def result(self) -> tuple[str, tuple[str, ...]]:
        """Digest of all records, and the front, without names of directories."""
        members = [json.loads(path.read_text()) for path in self.files.pareto.iterdir()]
        return self.recorder.records_sha256, tuple(sorted(json.dumps([m["bot"], m["metrics"]]) for m in members))


def _run(number: int) -> RunTemplate:
    nothing = {pside: dict[str, float]() for pside in PSIDES}
    return RunTemplate("base", 0, f"data {number}", (0, 0), {}, [], nothing, (), dict.fromkeys(PSIDES, 1))


def tiny_context(
    cache: Path, start: str = "2025-01-01", end: str = "2025-01-04"
) -> tuple[EvalContext, tuple[Dataset, ...]]:
    """The context of a search with the template's bounds over some dates of one coin of the sample market."""
    values = {
        "backtest.exchanges": ["sample"], "backtest.start_date": start, "backtest.end_date": end,
        "live.approved_coins": ["BTC"],
    }  # fmt: skip
    config = completed(load_config(), values, {})
    plan = Plan.of(config)
    data = prepare_search(config, {"cache_dir": str(cache)}, SystemClock())
    datasets = data.prepared.datasets
    return build_context(plan.space, plan.gene_overrides, data.runs, datasets), datasets
