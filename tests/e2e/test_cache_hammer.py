"""A short run of the soak command (`make hammer`), and its judgement of caches that are not as they should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HAMMER = Path(__file__).resolve().parents[1] / "soak" / "cache_hammer.py"


def hammer(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HAMMER), *args], capture_output=True, text=True, check=False, timeout=120
    )


def test_cache_survives_killed_processes() -> None:
    """Three processes on one cache, two of them killed: the cache ends as an undisturbed one does."""
    run = hammer("--seconds", "4", "--processes", "3", "--kills", "2", "--days", "5", "--seed", "4")
    assert run.returncode == 0, run.stdout + run.stderr
    counts = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in run.stdout.splitlines() if "│" in line}
    assert counts["killed"] == "2"
    assert counts["wrong"] == "0"
    assert int(counts["operations"].replace(",", "")) > 20


def test_wrong_arguments() -> None:
    """What cannot be hammered is refused before anything is started."""
    run = hammer("--processes", "0")
    assert run.returncode == 2
    assert "must be above 0" in run.stderr
