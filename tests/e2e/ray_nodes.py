"""Runs of the optimizer on Ray, inside a network namespace that has only loopback: Ray's nodes listen everywhere.

`python ray_nodes.py SCENE PLACE ARGS...` plays a scene; the run stays in PLACE, what it logged goes to standard output.
Everything it starts ends with its process namespace.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from optimizer_runs import only_run, optimize, recorded, start, wait_for

from core.rng import new_token

ADDRESS = "127.0.0.1:6391"
LISTENING = "0A"
INTERRUPTED = 130
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")


def two_nodes(place: Path, args: list[str]) -> int:
    """A cluster of two node processes: first a worker is killed, then one of the nodes, as by a power cut."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": new_token()}
    ip, port = ADDRESS.split(":")
    head = start_node("--head", "--port", port, "--node-ip-address", ip, "--include-dashboard", "false")
    other = start_node("--address", ADDRESS, "--node-ip-address", ip)
    process = start(place, *args, "--executor", "ray", "--ray-address", ADDRESS)
    assert wait_for(lambda: recorded(place) > 300_000, process, 240), process.communicate()[0]
    worker = next(pid for pid, session in processes() if session == head and is_worker(pid))
    os.kill(worker, signal.SIGKILL)
    assert wait_for(lambda: recorded(place) > 1_200_000, process, 120), process.communicate()[0]
    kill_session(other)
    return to_the_end(process)


def private(place: Path, args: list[str]) -> int:
    """The instance of the run itself, on a machine that has an address in a network: nothing listens there.

    It is interrupted while it starts, and once more in mid-run; nothing may stay behind.
    """
    subprocess.run(["ip", "address", "add", "10.9.9.1/24", "dev", "lo"], check=True)
    subprocess.run(["ip", "route", "add", "default", "dev", "lo", "src", "10.9.9.1"], check=True)
    process = start(place, *args, "--executor", "ray")
    assert wait_for(ray_is_there, process, 60), process.communicate()[0]
    interrupt(process)
    shutil.rmtree(place / "optimize_results")
    process = start(place, *args, "--executor", "ray")
    assert wait_for(lambda: recorded(place) > 0, process, 240), process.communicate()[0]
    listening = set(listening_addresses())
    assert listening, "Ray listens somewhere"
    assert listening <= set(LOOPBACK), listening
    sys.stdout.write(interrupt(process))
    optimize(place, "--resume", only_run(place), *args[-2:])
    return 0


def interrupt(process: subprocess.Popen[str]) -> str:
    """The output of a process that ends cleanly on SIGINT; all processes of Ray have ended, a moment later at most."""
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    output += f"ended after {time.monotonic() - sent:.2f} s\n"
    assert process.returncode == INTERRUPTED, output
    assert "Traceback" not in output, output
    until = time.monotonic() + 5.0
    while ray_is_there():
        assert time.monotonic() < until, "processes of Ray are left"
        time.sleep(0.02)
    return output


def to_the_end(process: subprocess.Popen[str]) -> int:
    output, _ = process.communicate(timeout=240)
    sys.stdout.write(output)
    return process.returncode


def start_node(*options: str) -> int:
    """A node with one processor; returns the session that its processes are. Ray gives up on a busy machine: again."""
    program = str(Path(sys.executable).with_name("ray"))
    command = [program, "start", "--num-cpus", "1", "--object-store-memory", str(200 << 20), *options]
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        if process.wait() == 0:
            return process.pid
        kill_session(process.pid)
    raise AssertionError("the node did not come up")


def kill_session(leader: int) -> None:
    """All processes of a session at once."""
    for pid, session in processes():
        if session == leader:
            os.kill(pid, signal.SIGKILL)


def processes() -> Iterator[tuple[int, int]]:
    """Ids of all processes, and their sessions."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[3])


def is_worker(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::Actor")


def ray_is_there() -> bool:
    """Is there a process that Ray started: its control plane, node manager, an agent or a worker?"""
    for pid, _ in processes():
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if command.startswith(b"ray::") or b"/ray/core/src/" in command or b"/ray/_private/" in command:
                return True
    return False


def listening_addresses() -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                yield fields[1].partition(":")[0]


SCENES: dict[str, Callable[[Path, list[str]], int]] = {
    "two_nodes": two_nodes,
    "private": private,
}

if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.exit(SCENES[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:]))
