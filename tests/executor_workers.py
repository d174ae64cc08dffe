"""What worker processes of tests/test_executors.py do instead of evaluating; spawned processes import it by name."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection

import numpy as np

from optimization.executors.protocol import Answer
from optimization.executors.worker import WorkerSetup

DEADLY = -1.0  # a vector that begins with it kills its worker
PROBE = np.array([[1.0, np.nan]])


def ends_at_once(pipe: Connection, setup: WorkerSetup) -> None:
    """A worker that is killed while it starts."""
    os.kill(os.getpid(), signal.SIGKILL)


def answers_anything(pipe: Connection, setup: WorkerSetup) -> None:
    """A worker that needs no data."""
    pipe.send(PROBE)
    while True:
        number, vector, _ = pipe.recv()
        if vector[0] == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        pipe.send(Answer(number, np.array([[float(os.getpid()), float(vector[1])]]), 0.0))
