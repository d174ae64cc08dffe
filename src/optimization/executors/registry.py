"""Which executor a config asks for (`optimizer_pareto_tools.md` 13.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from core.errors import ConfigError
from optimization.evaluator import Evaluator
from optimization.executors.local import LocalExecutor
from optimization.executors.protocol import Executor
from optimization.executors.serial import SerialExecutor
from optimization.stop import Stop, interrupted_by_signals
from simulation.dataset import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Work:
    """What executors are made from. `stack` ends what they share with others; `address` is that of a cluster."""

    evaluator: Evaluator
    datasets: Sequence[Dataset]
    workers: int
    timeout_s: float | None
    stop: Stop
    stack: ExitStack
    address: str | None = None


def make_executor(name: str, work: Work) -> Executor:
    """A running executor. Raises ConfigError for an unknown name, RunError when workers cannot be had."""
    if name not in FACTORIES:
        raise ConfigError(f"optimize.executor is {name!r}: use one of {', '.join(FACTORIES)}")
    return FACTORIES[name](work)


def _serial(work: Work) -> Executor:
    if work.timeout_s is not None:
        logger.warning("optimize.eval_timeout_s is not watched by the executor serial")
    return SerialExecutor(work.evaluator, work.stop.flag)


def _local(work: Work) -> Executor:
    return LocalExecutor(work.evaluator, work.workers, work.timeout_s)


def _processes(work: Work) -> Executor:
    from optimization.executors.processes import ProcessExecutor, shared_setup

    setup = shared_setup(work.evaluator.context, work.datasets, work.stack, work.timeout_s)
    return ProcessExecutor(setup, work.workers, work.evaluator.probe())


def _ray(work: Work) -> Executor:
    from optimization.executors.ray_cluster import load_ray, ray_executor

    with interrupted_by_signals(work.stop):  # it takes seconds to load, and more to start
        load_ray(private=work.address is None)
    with interrupted_by_signals(work.stop):
        return ray_executor(work.evaluator, work.datasets, work.address, work.timeout_s)


FACTORIES: Mapping[str, Callable[[Work], Executor]] = {
    "local": _local,
    "serial": _serial,
    "processes": _processes,
    "ray": _ray,
}
