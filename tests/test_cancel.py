"""Long work of the engine can be stopped: by Ctrl-C, and by the cancel flag from another thread (`additions.md` 15).

Each batch here would take many minutes; that the tests end at all is what they check.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import passivbot_rust as pbr
import pytest

from engine_cases import bundle_meta, example_a, random_market

ROWS, COINS, RUNS = 300_000, 2, 4000
PATIENCE = 120  # seconds; a hundred times what stopping takes


def long_batch() -> tuple[Any, list[dict[str, Any]]]:
    """A bundle and runs on it that plan every row of both coins."""
    template = example_a()
    run = template.run | {
        "coins": [f"C{i}" for i in range(COINS)],
        "first_valid_indices": [0] * COINS,
        "last_valid_indices": [ROWS - 1] * COINS,
        "warmup_minutes": [20] * COINS,
        "plan_every_row": True,
    }
    candles = random_market(1, ROWS, COINS, volatility=0.0005)
    bundle = pbr.HlcvsBundle(candles, np.full(ROWS, 30_000.0), 60_000 * np.arange(ROWS), bundle_meta(COINS))
    spec = {
        "bot_params": template.bot_params * COINS,
        "exchange_params_list": template.exchange_params * COINS,
        "backtest_params_dict": run,
    }
    return bundle, [spec] * RUNS


def test_flag_from_another_thread() -> None:
    """A flag set while the batch runs ends it; the runs that were cut short say so."""
    bundle, specs = long_batch()
    flag = np.zeros(1, dtype=np.uint8)
    threading.Timer(0.5, lambda: flag.fill(1)).start()
    values, errors = pbr.backtest_batch(bundle, specs, 2, flag)
    assert len(values) == RUNS
    assert errors[-1] == "backtest cancelled"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child there")
def test_interrupt() -> None:
    """Ctrl-C arrives as KeyboardInterrupt."""
    program = (
        "import passivbot_rust as pbr, test_cancel\n"
        "bundle, specs = test_cancel.long_batch()\n"
        "print('running', flush=True)\n"
        "try:\n"
        "    pbr.backtest_batch(bundle, specs, 2)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *sys.path])
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "running\n"
            threading.Timer(0.5, child.send_signal, [signal.SIGINT]).start()
            rest, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
    assert rest == "interrupted\n"
    assert child.returncode == 0
