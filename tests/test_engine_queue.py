"""`passivbot_rust.EngineQueue`: runs handed in one by one, answered as they finish, never lost (13.4).

What a panic does is tested in passivbot-rust/tests/queue.rs: from Python none is known.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest

from optimization.context import engine_bundle
from optimization.evaluator import Evaluator
from optimization.executors.protocol import Answer, Task
from search_parts import tiny_context

Done = tuple[int, Any, str | None, float]


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> Evaluator:
    """Five years of one coin: a run takes a while."""
    context, datasets = tiny_context(tmp_path_factory.mktemp("cache"), "2021-01-01", "2026-01-01")
    return Evaluator(context, [engine_bundle(dataset) for dataset in datasets])


@pytest.fixture
def spec(evaluator: Evaluator) -> dict[str, Any]:
    return evaluator.engine_runs(Task(0, evaluator.context.space.middle()))[0][1]


class Served:
    """A queue with threads; `close` waits for them."""

    def __init__(self, evaluator: Evaluator, threads: int) -> None:
        self.queue = pbr.EngineQueue(evaluator.bundles)
        self._thread = threading.Thread(target=self.queue.serve, args=(threads,))
        self._thread.start()

    def done(self, count: int) -> list[Done]:
        found: list[Done] = []
        for _ in range(600):
            if len(found) >= count:
                break
            found += self.queue.poll(0.1)
        return sorted(found, key=lambda run: run[0])

    def close(self) -> bool:
        """Whether its threads have ended."""
        self.queue.close()
        self._thread.join(10.0)
        return not self._thread.is_alive()


@pytest.fixture
def served(evaluator: Evaluator) -> Iterator[Served]:
    one = Served(evaluator, 2)
    yield one
    assert one.close()


def test_answers_of_a_batch(evaluator: Evaluator, served: Served, spec: dict[str, Any]) -> None:
    """Numbers to the bit as from `backtest_batch`; part of the rows is another run."""
    served.queue.submit(7, 0, spec)
    served.queue.submit(8, 0, {**spec, "rows": (0, spec["rows"][1] // 2)})
    found = served.done(2)
    reply = evaluator.evaluate(Task(0, evaluator.context.space.middle()))
    assert isinstance(reply, Answer)
    assert [(run[0], run[2]) for run in found] == [(7, None), (8, None)]
    assert found[0][1].tobytes() == reply.values[0].tobytes()
    assert found[1][1].tobytes() != found[0][1].tobytes()
    assert 0 < found[1][3] < 60
    assert served.queue.running() == []


@pytest.mark.parametrize("change", [{"rows": (0, 10**9)}, {"rows": (5, 5)}, {"bot_params": []}, {"bot_params": None}])
def test_what_cannot_be_read(served: Served, spec: dict[str, Any], change: dict[str, Any]) -> None:
    """It is refused where it is handed in, and never answered."""
    with pytest.raises((ValueError, TypeError)):
        served.queue.submit(1, 0, {**spec, **change})
    with pytest.raises(ValueError, match="there is no dataset 3"):
        served.queue.submit(1, 3, spec)
    assert served.queue.poll(0.0) == []


def test_cancelled(served: Served, spec: dict[str, Any]) -> None:
    """A run that is stopped is answered with an error; the others are not touched; unknown numbers are none of its."""
    for number in range(4):
        served.queue.submit(number, 0, spec)
    while not (running := served.queue.running()):
        pass
    served.queue.cancel(running[0][0])
    served.queue.cancel(99)
    found = served.done(4)
    assert [run[0] for run in found] == [0, 1, 2, 3]
    assert [run[0] for run in found if run[2] is not None] == [running[0][0]]
    assert np.isnan(found[running[0][0]][1]).all()


def test_closed(evaluator: Evaluator, spec: dict[str, Any]) -> None:
    """What waits is dropped, what runs is stopped, nothing more is taken; a second time does no harm."""
    served = Served(evaluator, 1)
    for number in range(50):
        served.queue.submit(number, 0, spec)
    assert served.close()
    assert served.close()
    served.queue.submit(99, 0, spec)
    assert all(run[0] != 99 for run in served.queue.poll(0.0))
    assert len(served.queue.poll(0.0)) == 0
