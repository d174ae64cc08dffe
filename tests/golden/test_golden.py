"""The engine against the golden data, every case to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_golden_case_is_equal(shared: Path) -> None:
    """`check_engine.py all` finds no difference."""
    golden = shared / "golden"
    command = [sys.executable, str(golden / "check_engine.py"), "all", str(golden)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
