"""Rebuilding a stale Rust extension before it is imported (`config_cli_suite.md` 8.5, `additions.md` 11).

Stale means: the hash baked into the built module is not that of the crate's sources. Hashing takes 3 ms, so
modification times, which a checkout or a copy change at will, are not consulted.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.crate_hash import built_hash, source_hash
from core.errors import RunError, ToolMissingError
from core.paths import CRATE_DIR

MODULE = "passivbot_rust"
_FLAGS = {"--skip-rust-compile": "skip", "--force-rust-compile": "force", "--fail-on-stale-rust": "fail_on_stale"}


@dataclass(frozen=True, slots=True)
class RustPolicy:
    """What to do about the extension: use it as it is, rebuild it in any case, stop when it is stale."""

    skip: bool = False
    force: bool = False
    fail_on_stale: bool = False


def take_rust_flags(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> tuple[RustPolicy, list[str]]:
    """The policy that arguments and SKIP_RUST_COMPILE ask for, and the arguments without those flags."""
    end = argv.index("--") if "--" in argv else len(argv)
    given = {_FLAGS[word] for word in argv[:end] if word in _FLAGS}
    if environment.get("SKIP_RUST_COMPILE", "").strip().lower() in ("1", "true", "yes"):
        given.add("skip")
    rest = [word for number, word in enumerate(argv) if number >= end or word not in _FLAGS]
    return RustPolicy(**dict.fromkeys(given, True)), rest


def installed_package() -> Path | None:
    """Where the extension would be imported from, without importing it."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def maturin_develop(crate: Path) -> None:
    """`maturin develop --release` into the running environment; its output goes to `target/build.log`."""
    environment = _build_environment()
    command = _maturin()
    log = crate / "target" / "build.log"
    with log.open("w", encoding="utf-8") as output:
        status = subprocess.run(
            [*command, "develop", "--release"],
            cwd=crate, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False,
        ).returncode  # fmt: skip
    if status:
        raise RunError(f"building the Rust extension failed: {_first_error(log)}; all output is in {log}")


def _first_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("error")), lines[-1] if lines else "no output")


def _build_environment() -> dict[str, str]:
    """Environment for the build. Raises ToolMissingError when something it needs is not there."""
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path.home() / ".cargo" / "bin")])
    if shutil.which("cargo", path=path) is None:
        raise ToolMissingError("no Rust toolchain (cargo): install it from https://rustup.rs and start again")
    if not any(shutil.which(name, path=path) for name in ("cc", "gcc", "clang", "link")):
        raise ToolMissingError("no C linker (cc): install gcc or clang (Debian: apt install build-essential)")
    if sys.prefix == sys.base_prefix:
        raise ToolMissingError("the Rust extension needs a virtual environment: start by ./passivbot, or activate venv")
    return {**os.environ, "PATH": path, "VIRTUAL_ENV": sys.prefix}


def _maturin() -> list[str]:
    if importlib.util.find_spec("maturin") is not None:
        return [sys.executable, "-m", "maturin"]
    found = shutil.which("maturin")
    if found is None:
        raise ToolMissingError("maturin, which builds the Rust extension, is missing: pip install maturin")
    return [found]


@dataclass(frozen=True, slots=True)
class Extension:
    """The crate and what was built of it. `build` makes it anew; `say` tells the user what happens."""

    crate: Path = CRATE_DIR
    locate: Callable[[], Path | None] = installed_package
    build: Callable[[Path], None] = maturin_develop
    say: Callable[[str], None] = lambda text: None

    def stale_reason(self) -> str | None:
        """Why the extension has to be built, or None."""
        package = self.locate()
        built = built_hash(package) if package is not None else None
        if package is None:
            return "is not built yet"
        return None if built == source_hash(self.crate) else "is older than its sources"


def ensure_extension(policy: RustPolicy, extension: Extension) -> None:
    """Leave a fresh extension, built under a lock by one process at a time.

    Raises ToolMissingError (tools, or nothing built though building is off) or RunError (stale and not to be rebuilt,
    build failed).
    """
    if not (extension.crate / "Cargo.toml").is_file():
        return  # installed without sources: nothing to compare with
    reason = extension.stale_reason() if not policy.skip or extension.locate() is None else None
    if policy.force and not policy.skip:
        _build_once(extension, "is rebuilt as asked", force=True)
    elif reason is None:
        return
    elif policy.skip:
        raise ToolMissingError(f"the Rust extension {reason}; leave out --skip-rust-compile and SKIP_RUST_COMPILE")
    elif policy.fail_on_stale:
        raise RunError(f"the Rust extension {reason}; rebuild it (leave out --fail-on-stale-rust)")
    else:
        _build_once(extension, reason, force=False)


def _build_once(extension: Extension, reason: str, *, force: bool) -> None:
    from filelock import FileLock, Timeout  # 50 ms to import, rarely needed

    path = extension.crate / "target" / ".build.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        extension.say(f"the Rust extension {reason}: waiting for another process that builds it ...")
        lock.acquire()
    try:
        if force or extension.stale_reason() is not None:  # not built by another process meanwhile
            _build(extension, reason)
    finally:
        lock.release()


def _build(extension: Extension, reason: str) -> None:
    extension.say(f"the Rust extension {reason}: building, this takes a minute ...")
    start = time.monotonic()
    extension.build(extension.crate)
    importlib.invalidate_caches()
    if extension.stale_reason() is not None:
        raise RunError(f"the Rust extension was built, but {extension.locate()} is not of these sources; remove it")
    extension.say(f"Rust extension built in {time.monotonic() - start:.1f} s")
