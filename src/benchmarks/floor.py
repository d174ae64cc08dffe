"""The floor of the speed measure: what a coin-minute costs at least (`passivbot-rust/benches/floor.rs`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from core.errors import RunError, ToolMissingError
from core.paths import CRATE_DIR


def cargo() -> str:
    """Cargo, also where rustup put it outside of the path. Raises ToolMissingError without it."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path.home() / ".cargo" / "bin")])
    found = shutil.which("cargo", path=path)
    if found is None:
        raise ToolMissingError("no Rust toolchain (cargo), which builds the floor: install it, or give --no-floor")
    return found


class Floor:
    """The built program; `command` starts it."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)

    def rate(self, coins: int) -> float:
        """Coin-minutes a second, fastest of five years."""
        done = subprocess.run([*self.command, str(coins)], capture_output=True, text=True, check=False)
        words = done.stdout.split()
        if done.returncode or len(words) < 2 or words[0] != str(coins):
            raise RunError(f"the floor ({self.command[0]}) failed with status {done.returncode}: {done.stderr[-300:]}")
        return float(words[1])


def build_floor(crate: Path = CRATE_DIR) -> Floor:
    """Build the bench and find its program. Raises RunError with the compiler's words when that fails."""
    command = [cargo(), "bench", "--no-default-features", "--bench", "floor", "--no-run", "--message-format=json"]
    built = subprocess.run(command, cwd=crate, capture_output=True, text=True, check=False)
    if built.returncode:
        raise RunError(f"the floor could not be built: {built.stderr[-500:]}")
    for message in map(json.loads, built.stdout.splitlines()):
        if message.get("executable") and message["target"]["name"] == "floor":
            return Floor([message["executable"]])
    raise RunError("the floor could not be built: cargo named no program")
