"""The logging wrapper: output on screen and in a file, status and Ctrl-C passed on (`config_cli_suite.md` 22)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import REPOSITORY, run_program
from run_with_logging import Tee, log_name, open_log, script_of

from core.clock import ManualClock
from core.dates import date_to_ts
from core.errors import RunError

TOOL = "tools/run_with_logging.py"
CLOCK = ManualClock(date_to_ts("2026-11-21T07:58:09"))


class Pieces:
    """A stream that gives its content in these pieces; `after` is called before each of them and at the end."""

    def __init__(self, *pieces: bytes, after: Callable[[], object] = lambda: None) -> None:
        self.pieces, self.after = list(pieces), after

    def read1(self, size: int) -> bytes:
        self.after()
        return self.pieces.pop(0) if self.pieces else b""


def only_log(folder: Path) -> Path:
    (log,) = (folder / "logs").iterdir()
    return log


def test_output_and_status(tmp_path: Path) -> None:
    """Both streams arrive where they belong and together in the file; the status is the command's."""
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    result = run_program(TOOL, sys.executable, "-c", code, cwd=tmp_path, expect=7)
    assert result.stdout == "out\n"
    assert result.stderr.endswith("err\n")
    log = only_log(tmp_path)
    assert sorted(log.read_text().split()) == ["err", "out"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d_\d\d_\d\d_python[\d.]*\.log", log.name)
    assert f"output goes to logs/{log.name}" in result.stderr


def test_lines_of_two_streams_stay_whole(tmp_path: Path) -> None:
    """A line that comes in pieces is not cut by the other stream in the file; the end needs no line break."""
    log = (tmp_path / "x.log").open("wb")
    tee, screen = Tee(log), (tmp_path / "screen").open("wb")
    tee.copy(Pieces(b"ou", b"t\n10%\r", b"20", b"%\rdo", b"ne"), screen)
    assert (tmp_path / "x.log").read_bytes() == b"out\n10%\r20%\rdone"
    assert (tmp_path / "screen").read_bytes() == b"out\n10%\r20%\rdone"
    seen: list[bytes] = []
    tee.copy(Pieces(b"a", b"b\nc", after=lambda: seen.append((tmp_path / "x.log").read_bytes()[16:])), screen)
    assert seen == [b"", b"", b"ab\n"]
    assert (tmp_path / "x.log").read_bytes()[16:] == b"ab\nc"


def test_log_that_fails_does_not_stop_the_screen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A full disk is told once; the output goes on."""
    screen = (tmp_path / "screen").open("wb")
    with Path("/dev/full").open("wb", buffering=0) as log:
        Tee(log).copy(Pieces(b"a\n", b"b\n"), screen)
    assert (tmp_path / "screen").read_bytes() == b"a\nb\n"
    assert capsys.readouterr().err == "run_with_logging: /dev/full: No space left on device\n"


def test_large_output_is_complete(tmp_path: Path) -> None:
    """Nothing is lost or put out of order, whatever bytes it has."""
    code = "import sys; [sys.stdout.buffer.write(b'%06d \\xff\\n' % n) for n in range(50000)]"
    command = [sys.executable, str(REPOSITORY / "src" / TOOL), "--", sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    lines = only_log(tmp_path).read_bytes().splitlines()
    assert lines == [b"%06d \xff" % number for number in range(50000)]


@pytest.mark.parametrize(("number", "handled", "status"), [
    (signal.SIGINT, True, 130), (signal.SIGTERM, False, 128 + 15), (signal.SIGINT, False, 128 + 2),
])  # fmt: skip
def test_signals_reach_the_command_once(tmp_path: Path, number: int, handled: bool, status: int) -> None:
    """Ctrl-C is the command's to handle; the wrapper stays until the command has ended, and keeps its last words."""
    child = "import signal, sys\nsignal.alarm(60)\n"
    if handled:
        child += "signal.signal(signal.SIGINT, lambda *a: (print('interrupted', flush=True), sys.exit(130)))\n"
    else:
        child += f"signal.signal({int(number)}, signal.SIG_DFL)\n"
    child += "print('up', flush=True)\nwhile True: signal.pause()\n"
    command = [sys.executable, str(REPOSITORY / "src" / TOOL), sys.executable, "-c", child]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        try:
            rest, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == status
    assert rest == ("interrupted\n" if handled else "")
    assert only_log(tmp_path).read_text() == "up\n" + rest


def test_screen_may_go_away(tmp_path: Path) -> None:
    """Who reads the output may leave; the file is complete."""
    command = f"{sys.executable} {REPOSITORY / 'src' / TOOL} seq 20000 | head -1"
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert only_log(tmp_path).read_text().split()[-1] == "20000"


@pytest.mark.parametrize(
    ("argv", "message"), [([], "which command?"), (["no-such-program-here"], "cannot run no-such-program-here")]
)
def test_usage(tmp_path: Path, argv: list[str], message: str) -> None:
    """Status 2, one line, no log."""
    result = run_program(TOOL, *argv, cwd=tmp_path, expect=2)
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "logs").exists()


def test_help(tmp_path: Path) -> None:
    """Only in front of the command it is ours."""
    assert "usage: run_with_logging.py" in run_program(TOOL, "--help", cwd=tmp_path).stdout
    assert run_program(TOOL, "echo", "--help-me", cwd=tmp_path).stdout == "--help-me\n"


def test_names(tmp_path: Path) -> None:
    """Time, script or command; logs of the same second get numbers; a folder that is none is an error."""
    assert log_name("src/main.py", CLOCK.now_ms(), 1) == "2026-11-21T07_58_09_main.log"
    names = [Path(open_log(tmp_path / "logs", "x", CLOCK).name).name for _ in range(3)]
    assert names == [f"2026-11-21T07_58_09_x{end}.log" for end in ("", "_2", "_3")]
    assert script_of(["python3", "-u", "src/main.py", "c.json"]) == "src/main.py"
    assert script_of(["./passivbot", "live"]) == "./passivbot"
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write a log into"):
        open_log(tmp_path / "file", "x", CLOCK)
