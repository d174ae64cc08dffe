"""Parts of the optimizer without a config's data: a search whose engine takes no time, and threads over a workload."""

from __future__ import annotations

import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import passivbot_rust

from benchmarks.timing import seconds_of
from benchmarks.workload import Workload, rules
from config.bounds import search_bounds
from config.load import load_config
from core.rng import Streams
from core.terms import PSIDES
from optimization.candidates_log import CandidateFormat
from optimization.context import EvalContext, RunTemplate
from optimization.dispatch import Dispatcher
from optimization.driver import Parts, Search
from optimization.evaluator import Evaluator
from optimization.executors.local import LocalExecutor
from optimization.executors.protocol import Answer, Reply, Task
from optimization.outcome import Judge
from optimization.recorder import Recorder
from optimization.report import Report
from optimization.run_files import new_run
from optimization.run_logs import RecordSettings
from optimization.scoring import Scoring
from optimization.settings import Plan
from optimization.space import SearchSpace
from optimization.stop import Stop

POPULATION = 250
METRICS = 106


class StubExecutor:
    """Answers at once: metrics that depend on the vector and nothing else."""

    workers = 1

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def submit(self, task: Task) -> None:
        self._waiting.append(task)

    def poll(self, timeout_s: float) -> list[Reply]:
        replies: list[Reply] = []
        while self._waiting:
            task = self._waiting.popleft()
            values = np.resize(np.array(task.vector), METRICS)
            replies.append(Answer(task.id, np.abs(values)[None, :] / 100.0, 0.0))
        return replies

    def close(self, *, hard: bool = False) -> None:
        self._waiting.clear()


def stub_search(root: Path, evaluations: int) -> tuple[int, float]:
    """Search with the template's bounds and scoring; candidates and seconds. Files are written as in a real run."""
    config = load_config()
    config["optimize"] |= {"iters": evaluations, "population_size": min(POPULATION, evaluations // 2)}
    plan = Plan.of(config)
    context = EvalContext(plan.space, (), (_template(None),))
    layout = CandidateFormat(len(plan.space), len(plan.scoring.objectives))
    sections = {name: config[name] for name in ("backtest", "bot", "coin_overrides", "live", "logging", "optimize")}
    recorder = Recorder(
        new_run(root, "stub"), RecordSettings(sections, layout, "", 3, 250, write_all=True, compress=False)
    )
    recorder.open()
    names = [objective.name for objective in plan.scoring.objectives]
    parts = Parts(
        plan.space, plan.sampler, plan.schedule, Streams.of(1), Dispatcher(StubExecutor(), 1, split=False),
        Judge(context, plan.scoring), recorder, Report(names, evaluations, POPULATION), Stop(), config["bot"], 60.0,
    )  # fmt: skip
    started = time.perf_counter()
    Search(parts).run()
    seconds = time.perf_counter() - started
    recorder.close()
    return recorder.records, seconds


def _template(workload: Workload | None) -> RunTemplate:
    """The one run of every candidate; without a workload there is nothing to run."""
    nothing = {pside: dict[str, float]() for pside in PSIDES}
    return RunTemplate(
        label="base",
        dataset=0,
        name="workload",
        rows=(0, workload.rows if workload else 0),
        backtest_params=workload.run_params() if workload else {},
        exchange_params=[rules(at) for at in range(workload.coins)] if workload else [],
        forced=nothing,
        own=tuple({} for _ in range(workload.coins)) if workload else (),
        openable=dict.fromkeys(PSIDES, workload.coins if workload else 0),
    )


def evaluate_workload(file: Path, minutes: int, workers: int) -> None:
    """One random candidate a worker, all at once."""
    workload = Workload(20, minutes, file)
    space = SearchSpace.of(search_bounds(load_config()), 3)
    executor = LocalExecutor(Evaluator(EvalContext(space, (), (_template(workload),)), [workload.bundle()]), workers)
    rng = np.random.default_rng(1)
    for number in range(workers):
        executor.submit(Task(number, space.enforce(space.random(rng))))
    replies: list[Reply] = []
    while len(replies) < workers:
        replies += executor.poll(1.0)
    executor.close()
    assert all(isinstance(reply, Answer) for reply in replies), replies


def _evaluated(executor: LocalExecutor, tasks: list[Task], judge: Judge) -> None:
    for task in tasks:
        executor.submit(task)
    done = 0
    while done < len(tasks):
        for reply in executor.poll(1.0):
            judge.outcome(tasks[reply.id].vector, reply)
            done += 1


def ways(file: Path, minutes: int, count: int, workers: int) -> dict[str, float]:
    """Seconds that the same random candidates of one coin take, scoring included, by the way they reach the threads."""
    workload = Workload(1, minutes, file)
    workload.store()
    config = load_config()
    space = SearchSpace.of(search_bounds(config), 3)
    context = EvalContext(space, (), (_template(workload),))
    evaluator, judge = Evaluator(context, [workload.bundle()]), Judge(context, Scoring.of(config, suite=False))
    rng = np.random.default_rng(1)
    tasks = [Task(number, space.enforce(space.random(rng))) for number in range(count)]

    def queue() -> None:
        executor = LocalExecutor(evaluator, workers)
        _evaluated(executor, tasks, judge)
        executor.close()

    def a_call_a_thread() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for reply in pool.map(evaluator.evaluate, tasks):
                judge.outcome(tasks[reply.id].vector, reply)

    def a_batch() -> None:
        specs = [evaluator.engine_runs(task)[0][1] for task in tasks]
        values, _ = passivbot_rust.backtest_batch(evaluator.bundles[0], specs, workers)
        for task, row in zip(tasks, values, strict=True):
            judge.outcome(task.vector, Answer(task.id, row[None, :], 0.0))

    named = {"queue": queue, "a call a thread": a_call_a_thread, "a batch": a_batch}
    queue()
    return {name: min(seconds_of(way) for _ in range(3)) for name, way in named.items()}


if __name__ == "__main__":
    evaluate_workload(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
