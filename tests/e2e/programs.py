"""Starting the programs as a user does: own process, own working directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def run_program(
    script: str, *args: str | Path, cwd: Path, expect: int = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `src/{script}` in `cwd`; fails with the output unless it exits with `expect`."""
    command = [sys.executable, str(REPOSITORY / "src" / script), *map(str, args)]
    result = subprocess.run(
        command, cwd=cwd, env=os.environ | (env or {}), capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == expect, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    return result


def only_result(base: Path) -> Path:
    """The one result directory below `base`."""
    found = [path.parent for path in base.rglob("analysis.json")]
    assert len(found) == 1, found
    return found[0]
