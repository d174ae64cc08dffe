"""The launcher: what it installs and when, what it runs, what it says when something is missing (`README.md` 2)."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.crate_hash import source_hash

ROOT = Path(__file__).parents[1]


def load_launcher() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("passivbot_launcher", str(ROOT / "passivbot"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


launcher = load_launcher()


class FakeProject:
    """A project tree with an environment whose venv and pip are files; keeps the commands that were run."""

    def __init__(self, root: Path, *, tools: tuple[str, ...] = ("cargo", "cc")) -> None:
        self.root, self.tools = root, tools
        self.commands: list[list[str]] = []
        self.statuses: dict[str, int] = {}
        (root / "passivbot-rust" / "src").mkdir(parents=True)
        (root / "passivbot-rust" / "Cargo.toml").write_text("[package]")
        (root / "src" / "tools").mkdir(parents=True)
        for name in ("tools/streamline_json.py", "tools/_src_path.py", "main.py", "backtest.py", "optimize.py"):
            (root / "src" / name).write_text("")
        (root / "src" / "core").mkdir()
        shutil.copy(ROOT / "src" / "core" / "crate_hash.py", root / "src" / "core")
        (root / "requirements.txt").write_text("./passivbot-rust\n")
        (root / "requirements-dev.txt").write_text("pytest\n")
        (root / "requirements-lab.txt").write_text("jupyterlab\n")
        (root / "requirements-samplers.txt").write_text("optuna\n")
        self.environment = launcher.Environment(root, run=self._run, which=self._which)

    def _which(self, name: str, path: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.tools else None

    def _run(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> int:
        kind = next((word for word in ("venv", "pip", "pytest", "test") if word in command), "")
        self.commands.append([kind, *command])
        if self.statuses.get(kind):
            return self.statuses[kind]
        if kind == "venv":
            (self.root / "venv" / "bin").mkdir(parents=True, exist_ok=True)
            (self.root / "venv" / "bin" / "python").write_text("")
        if kind == "pip":
            self.install_extension()
        return 0

    def install_extension(self) -> None:
        package = self.root / "venv" / "lib" / "python3.11" / "site-packages" / "passivbot_rust"
        package.mkdir(parents=True, exist_ok=True)
        digest = source_hash(self.root / "passivbot-rust")
        (package / "x.so").write_bytes(b"PASSIVBOT_SOURCE_HASH=" + digest.encode())

    def start(self, *words: str) -> tuple[Any, list[str]]:
        """Exit status, or the command line that replaces the launcher; and what was run before."""
        self.commands.clear()
        replaced: list[Any] = []
        status = launcher.main(words, self.environment, lambda file, line, variables: replaced.append(line))
        return (replaced[0] if replaced else status), [command[0] for command in self.commands]


@pytest.fixture
def project(tmp_path: Path) -> FakeProject:
    return FakeProject(tmp_path)


def test_first_start_then_nothing(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> None:
    """The first start makes the environment and installs; the second runs at once."""
    line, ran = project.start("backtest", "my.json", "-sb", "5")
    python = str(project.root / "venv" / "bin" / "python")
    assert line == [python, str(project.root / "src" / "backtest.py"), "my.json", "-sb", "5"]
    assert ran == ["venv", "pip"]
    assert "installing requirements" in capsys.readouterr().err
    _, ran = project.start("backtest")
    assert ran == []
    assert capsys.readouterr().err == ""


def test_changes_are_installed(project: FakeProject) -> None:
    """New requirements or new sources of the crate lead to an installation; an extension built by hand does not."""
    project.start("live")
    (project.root / "requirements.txt").write_text("numpy\n./passivbot-rust\n")
    assert project.start("live")[1] == ["pip"]
    (project.root / "passivbot-rust" / "src" / "lib.rs").write_text("fn a() {}")
    assert project.start("live")[1] == ["pip"]
    (project.root / "passivbot-rust" / "src" / "lib.rs").write_text("fn b() {}")
    project.install_extension()
    assert project.start("live")[1] == []


def test_tests_need_more(project: FakeProject) -> None:
    """`test` installs the tools of tests once, runs pytest and cargo, and fails when either fails."""
    status, ran = project.start("test", "-k", "x")
    assert (status, ran) == (0, ["venv", "pip", "pytest", "test"])
    files = ["requirements.txt", "requirements-dev.txt", "requirements-samplers.txt"]
    assert project.commands[1][-6:] == [word for file in files for word in ("-r", file)]
    assert project.commands[2][-2:] == ["-k", "x"]
    assert project.start("test")[1] == ["pytest", "test"]
    assert project.start("live")[1] == []
    for failing in ("pytest", "test"):
        project.statuses = {failing: 5}
        assert project.start("test") == (5, ["pytest", "test"])


def test_setup(project: FakeProject) -> None:
    """`setup` makes the environment and starts nothing; `--dev` adds the tools of tests and lints."""
    assert project.start("setup") == (0, ["venv", "pip"])
    assert project.start("setup", "--dev") == (0, ["pip"])
    assert "requirements-dev.txt" in project.commands[0]
    assert project.start("setup") == (0, [])


def test_what_a_command_needs_more(project: FakeProject) -> None:
    """Jupyter is installed when it is first asked for, and stays; developers get everything else."""
    assert project.start("setup") == (0, ["venv", "pip"])
    project.start("lab")
    assert "requirements-lab.txt" in project.commands[0]
    assert project.start("setup") == (0, [])
    project.start("setup", "--dev")
    assert {"requirements-dev.txt", "requirements-lab.txt", "requirements-samplers.txt"} <= set(project.commands[0])


@pytest.mark.parametrize(
    ("words", "ending"),
    [
        (("live", "x"), ["src/main.py", "x"]),
        (("optimize",), ["src/optimize.py"]),
        (("tool", "streamline_json", "a", "--help"), ["src/tools/streamline_json.py", "a", "--help"]),
        (("lab", "--no-browser"), ["-m", "jupyter", "lab", "--no-browser"]),
    ],
)
def test_commands(project: FakeProject, words: tuple[str, ...], ending: list[str]) -> None:
    line, _ = project.start(*words)
    assert [part.removeprefix(f"{project.root}/") for part in line[1:]] == ending


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("sing",), "unknown command 'sing'"),
        (("tool",), "which tool? There are: streamline_json"),
        (("tool", "_src_path"), "which tool?"),
    ],
)
def test_wrong_commands(
    project: FakeProject, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """They are refused in one line before anything is installed."""
    assert project.start(*words) == (2, [])
    assert message in capsys.readouterr().err


def test_missing_program(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that this version does not have is said to be missing before anything is installed."""
    (project.root / "src" / "main.py").unlink()
    assert project.start("live", "x") == (2, [])
    assert "live is not part of this version yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("tools", "message"), [(("cc",), "Rust toolchain (cargo) is missing"), (("cargo",), "C linker (cc) is missing")]
)
def test_missing_tools(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tools: tuple[str, ...], message: str
) -> None:
    assert FakeProject(tmp_path, tools=tools).start("backtest") == (2, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "install" in line


def test_failing_installation(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> None:
    """A failure ends with status 1 and is tried again at the next start."""
    project.statuses = {"pip": 3}
    assert project.start("backtest") == (1, ["venv", "pip"])
    assert "pip could not install the requirements (status 3)" in capsys.readouterr().err
    project.statuses = {}
    assert project.start("backtest")[1] == ["pip"]


def test_incomplete_folder(project: FakeProject, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "requirements.txt").unlink()
    assert project.start("backtest") == (2, [])
    assert "requirements.txt is missing" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert (launcher.main(["--help"]), launcher.main([])) == (0, 2)
    assert "backtest [CONFIG]" in capsys.readouterr().out


WAITING = """
import importlib.machinery, pathlib, sys
launcher = importlib.machinery.SourceFileLoader("launcher", sys.argv[1]).load_module()
environment = launcher.Environment(pathlib.Path(sys.argv[2]), run=lambda *a, **k: 9)
sys.exit(launcher.main(["backtest"], environment, lambda *a: 0))
"""


def test_another_process_installs(project: FakeProject) -> None:
    """Who finds the lock held waits, and finds everything done."""
    command = [sys.executable, "-W", "ignore", "-c", WAITING, str(ROOT / "passivbot"), str(project.root)]
    with launcher.Lock(project.root / "venv" / ".lock"):
        waiting = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert waiting.stderr is not None
        assert "waiting" in waiting.stderr.readline()
        project.environment.install(())
    assert (waiting.communicate(timeout=60)[1], waiting.returncode) == ("", 0)


def test_real_process(tmp_path: Path) -> None:
    """With nothing to do: the program gets arguments and working directory (how fast: `make bench`)."""
    project = FakeProject(tmp_path / "project")
    project.start("setup")
    shutil.copy(ROOT / "passivbot", project.root / "passivbot")
    (project.root / "venv" / "bin" / "python").unlink()
    (project.root / "venv" / "bin" / "python").write_text('#!/bin/sh\necho "$(pwd) $VIRTUAL_ENV $@"\n')
    (project.root / "venv" / "bin" / "python").chmod(0o755)
    command = [sys.executable, str(project.root / "passivbot"), "backtest", "a b.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"{tmp_path} {project.root}/venv {project.root}/src/backtest.py a b.json\n"
