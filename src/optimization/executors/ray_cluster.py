"""Ray as the executor needs it: a cluster or a private instance, arrays in its object store, an actor a processor."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.errors import DataError, RunError, ToolMissingError
from core.rng import new_token
from optimization.context import EvalContext, engine_bundle
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Reply, Task
from optimization.executors.ray import Probe, RayExecutor, WorkerLost
from optimization.executors.worker import in_time
from simulation.dataset import Dataset
from simulation.sharing import ARRAYS

_PRIVATE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # on any system: without it Ray listens on all interfaces
    "RAY_AUTH_MODE": "token",
}
_CORE = ("gcs_server", "raylet")
STARTS = 3
CONNECT_S = 10.0
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A dataset to be sent: everything but the arrays, and their references in the object store."""

    facts: Dataset
    arrays: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ActorSetup:
    """What an actor is started with, on any machine of the cluster."""

    context: EvalContext
    datasets: tuple[StoredDataset, ...]
    timeout_s: float | None


def ray_executor(
    evaluator: Evaluator, datasets: Sequence[Dataset], address: str | None, timeout_s: float | None = None
) -> RayExecutor:
    """The executor on the cluster at `address` (`auto`: the one of this machine), or on a private instance.

    Raises ToolMissingError without Ray, RunError when it cannot be reached or cannot hold the datasets.
    """
    cluster = RayCluster(address)
    try:
        cluster.share(evaluator.context, datasets, timeout_s)
        return RayExecutor(cluster, probe_of(evaluator))
    except BaseException:
        cluster.close()
        raise


def probe_of(evaluator: Evaluator) -> Probe:
    """What this process finds."""
    import passivbot_rust

    return Probe(evaluator.probe(), passivbot_rust.SOURCE_HASH[:12])


class RayCluster:
    """The `Cluster` of the executor. Holds the references to all arrays: new workers fetch them again."""

    def __init__(self, address: str | None) -> None:
        self._private = address is None
        ray = load_ray(private=self._private)
        self._ray = _started(ray) if address is None else _joined(ray, address)
        self._actor = self._ray.remote(Actor)
        self._setup: Any = None

    def share(self, context: EvalContext, datasets: Sequence[Dataset], timeout_s: float | None) -> None:
        """Put the arrays into the object store, once; each machine fetches them once."""
        try:
            stored = tuple(self._stored(dataset) for dataset in datasets)
            self._setup = self._ray.put(ActorSetup(context, stored, timeout_s))
        except self._ray.exceptions.RayError as exc:
            raise RunError(f"the datasets do not fit into Ray's object store: {_line(exc)}") from exc

    def _stored(self, dataset: Dataset) -> StoredDataset:
        nothing = np.empty(0)
        arrays = {name: self._ray.put(np.asarray(getattr(dataset, name))) for name in ARRAYS}
        return StoredDataset(replace(dataset, hlcvs=nothing, btc_usd=nothing, timestamps=nothing), arrays)

    def nodes(self) -> Mapping[str, int]:
        return {
            node["NodeID"]: int(node["Resources"].get("CPU", 0)) for node in self._ray.nodes() if node["Alive"]
        }  # fmt: skip

    def start(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = NodeAffinitySchedulingStrategy(node, soft=False)
        # Restarts and retries are the executor's: Ray's can run out when a machine is lost.
        options = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": here}
        return self._actor.options(**options).remote(self._setup)

    def probe(self, worker: Any) -> Any:
        return worker.probe.remote()

    def evaluate(self, worker: Any, tasks: Sequence[Task]) -> Any:
        return worker.evaluate.remote([(task.id, np.array(task.vector), task.runs) for task in tasks])

    def done(self, calls: Sequence[Any], timeout_s: float) -> Sequence[Any]:
        if not calls:  # no machine is there: one may come
            time.sleep(timeout_s)
            return []
        some, _ = self._ray.wait(calls, num_returns=1, timeout=timeout_s)
        if not some:
            return []
        found, _ = self._ray.wait(calls, num_returns=len(calls), timeout=0)
        return list(found)

    def result(self, call: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(call)
        except errors.RayTaskError as exc:
            raise RunError(_line(exc.cause)) from exc
        except errors.RayError as exc:
            raise WorkerLost(_line(exc)) from exc

    def end(self, worker: Any) -> None:
        with suppress(self._ray.exceptions.RayError, ValueError):
            self._ray.kill(worker)

    def close(self) -> None:
        self._setup = None
        if self._private:
            _kill_children(but=_CORE)  # the others only watch, and Ray waits up to a second for each
        self._ray.shutdown()


def load_ray(*, private: bool) -> Any:
    """The library, which reads the environment as it is loaded. Raises ToolMissingError."""
    variables = _QUIET | (_PRIVATE if private else {})
    os.environ |= {name: value for name, value in variables.items() if name not in os.environ}
    if private and not os.environ.keys() & {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}:
        os.environ["RAY_AUTH_TOKEN"] = new_token()
    try:
        import ray
    except ModuleNotFoundError as exc:
        raise ToolMissingError("optimize.executor ray needs ray: pip install -r requirements-cluster.txt") from exc
    return ray


def _joined(ray: Any, address: str) -> Any:
    _check_reachable(address)
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except Exception as exc:
        raise RunError(f"the Ray cluster at {address} cannot be used: {_line(exc)}") from exc
    return ray


def _check_reachable(address: str) -> None:
    """Ray would try for minutes. What is no host and port (`auto`) is left to it."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, OverflowError) as exc:
            raise RunError(f"there is no Ray cluster at {address}: {exc}") from exc


def _started(ray: Any) -> Any:
    """A private instance. On a busy machine a start may take longer than Ray waits: it is tried again."""
    quiet = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    for tries_left in reversed(range(STARTS)):
        try:
            ray.init(address="local", _node_ip_address="127.0.0.1", **quiet)
            break
        except Exception as exc:
            ray.shutdown()
            if not tries_left:
                raise RunError(f"a private Ray instance cannot be started: {_line(exc)}") from exc
        except BaseException:  # interrupted: Ray does not know yet what it has started
            _kill_children(recursive=True)
            raise
    return ray


def _kill_children(*, but: Collection[str] = (), recursive: bool = False) -> None:
    """Kill the processes below this one, except those of some programs."""
    import psutil  # only here: other executors do without

    for process in psutil.Process().children(recursive=recursive):
        with suppress(psutil.NoSuchProcess):
            if process.name() not in but:
                process.kill()


def _line(exc: BaseException) -> str:
    """What an error says, in one line: Ray adds whole tracebacks."""
    lines = [line.strip() for line in str(exc).splitlines() if line.strip()] or [type(exc).__name__]
    return " ... ".join(dict.fromkeys((lines[0], lines[-1])))


# --- in the worker


class Actor:
    """One process on a processor of the cluster: its arrays are read-only views of the machine's object store."""

    def __init__(self, setup: ActorSetup) -> None:
        self._setup = setup
        self._evaluator: Evaluator | None = None

    def probe(self) -> Probe:
        """Take the arrays up; what this process finds for the probe vector."""
        import ray

        setup = self._setup
        datasets = [replace(d.facts, **{name: ray.get(ref) for name, ref in d.arrays.items()}) for d in setup.datasets]
        self._evaluator = Evaluator(setup.context, [engine_bundle(dataset) for dataset in datasets])
        return probe_of(self._evaluator)

    def evaluate(self, tasks: Sequence[tuple[int, Any, tuple[int, ...]]]) -> list[Reply]:
        """Replies in the order of tasks."""
        if self._evaluator is None:
            raise DataError("an actor that was not probed cannot evaluate")
        return [
            in_time(self._evaluator, Task(number, tuple(vector.tolist()), runs), self._setup.timeout_s)
            for number, vector, runs in tasks
        ]
