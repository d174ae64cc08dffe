"""What a worker process of the executor `processes` does: attach the datasets, pass the probe, answer tasks."""

from __future__ import annotations

import multiprocessing
import os
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import numpy as np

from core.errors import DataError, RunError
from optimization.context import EvalContext, engine_bundle
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Failure, Reply, Task
from simulation.sharing import SharedDataset, attached_dataset


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """What a worker process is started with; the arrays stay where they are."""

    context: EvalContext
    datasets: tuple[SharedDataset, ...]
    timeout_s: float | None = None


def work(pipe: Connection, setup: WorkerSetup) -> None:
    """The life of a worker: say what the probe gives, then answer tasks until the parent goes away."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with ExitStack() as stack:
        try:
            datasets = [stack.enter_context(attached_dataset(shared)) for shared in setup.datasets]
            evaluator = Evaluator(setup.context, [engine_bundle(dataset) for dataset in datasets])
            pipe.send(evaluator.probe())
        except (DataError, RunError, ValueError, MemoryError) as exc:
            pipe.send(exc)
            return
        _serve(pipe, evaluator, setup.timeout_s)


def _end_with_parent() -> None:
    """Not even a killed parent leaves workers behind, whatever they are at."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _serve(pipe: Connection, evaluator: Evaluator, timeout_s: float | None) -> None:
    while True:
        try:
            task_id, vector, runs = pipe.recv()
        except EOFError:
            return
        pipe.send(in_time(evaluator, Task(task_id, tuple(vector.tolist()), runs), timeout_s))


def in_time(evaluator: Evaluator, task: Task, timeout_s: float | None) -> Reply:
    """Do a task unless it takes longer than `timeout_s`; None: no limit."""
    if timeout_s is None:
        return evaluator.evaluate(task)
    cancel = np.zeros(1, dtype=np.uint8)
    timer = threading.Timer(timeout_s, cancel.fill, (1,))
    timer.start()
    try:
        reply = evaluator.evaluate(task, cancel)
    finally:
        timer.cancel()
    if cancel[0] and isinstance(reply, Failure):
        return Failure(task.id, f"took longer than optimize.eval_timeout_s ({timeout_s:g} s)")
    return reply
