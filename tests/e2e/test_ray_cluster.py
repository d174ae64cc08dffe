"""The optimizer on Ray: the records are those of threads, whatever happens to workers and machines (13.4, 15.4)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from optimizer_runs import SMALL, TEMPLATE, only_run, optimize, same_run

E2E = Path(__file__).parent
APART = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def can_be_apart() -> bool:
    """May this user have namespaces of their own?"""
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return False
    return subprocess.run([*APART, "ip", "link", "set", "lo", "up"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: requirements-cluster.txt"),
    pytest.mark.skipif(not can_be_apart(), reason="no network namespace can be made here (unshare --net)"),
]


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("caches")


def play(scene: str, place: Path, caches: Path, iters: str) -> str:
    """What the optimizer said in a scene of `ray_nodes.py`; its run is the one of the executor `local`."""
    args = [str(TEMPLATE), *SMALL, "-i", iters, "--cache-dir", str(caches)]
    undisturbed, apart = place / "undisturbed", place / "apart"
    undisturbed.mkdir()
    apart.mkdir()
    optimize(undisturbed, *args, "--executor", "local", "-c", "2")
    program = [*APART, sys.executable, str(E2E / "ray_nodes.py"), scene, str(apart), *args]
    paths = os.pathsep.join(str(path) for path in (E2E.parents[1] / "src", E2E))
    done = subprocess.run(
        program, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert same_run(only_run(apart), only_run(undisturbed))
    return done.stdout


def test_two_nodes_one_of_them_killed(tmp_path: Path, caches: Path) -> None:
    """Two node processes; a worker is killed and replaced, then a node vanishes in mid-run: the same records."""
    said = play("two_nodes", tmp_path, caches, "720")
    assert "2 workers on 2 machines of the cluster" in said
    assert "was lost" in said


def test_a_private_instance(tmp_path: Path, caches: Path) -> None:
    """Without an address Ray is started for the run, and listens on loopback alone. Interrupted: the same records."""
    said = play("private", tmp_path, caches, "48")
    assert f"{os.cpu_count()} workers on 1 machines of the cluster" in said


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_no_cluster(address: str, tmp_path: Path, caches: Path) -> None:
    """An address where nobody answers is an error of one line, at once."""
    args = [*SMALL, "--cache-dir", caches, "--executor", "ray", "--ray-address", address]
    done = optimize(tmp_path, TEMPLATE, *args, expect=1)
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert f"Ray cluster at {address}" in done.stderr
    assert "Traceback" not in done.stderr
