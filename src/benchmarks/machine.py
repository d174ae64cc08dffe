"""On what a measurement was made."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floor import cargo
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import ToolMissingError
from core.paths import CRATE_DIR


@dataclass(frozen=True, slots=True)
class Machine:
    """`load` is the number of busy processes when the measurement began: above 0.5, figures are noisy."""

    cpu: str
    cores: int
    python: str
    rust: str
    date: str
    load: float

    @property
    def line(self) -> str:
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        return f"{self.cpu}, {cores}; Python {self.python}; {self.rust}; {self.date}; load {self.load:.2f}"


def this_machine(clock: Clock) -> Machine:
    return Machine(
        cpu=_cpu_model(Path("/proc/cpuinfo")),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        rust=_rust_version(),
        date=ts_to_date(clock.now_ms())[:10],
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
    )


def _cpu_model(info: Path) -> str:
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _rust_version() -> str:
    """The compiler that cargo uses for the crate."""
    try:
        compiler = Path(cargo()).with_name("rustc")
        name = str(compiler) if compiler.exists() else "rustc"
        result = subprocess.run([name, "--version"], cwd=CRATE_DIR, capture_output=True, text=True, check=True)
    except (ToolMissingError, OSError, subprocess.CalledProcessError):
        return "no Rust compiler"
    return " ".join(result.stdout.split()[:2])
