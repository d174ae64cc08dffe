"""Rebuilding a stale extension (`config_cli_suite.md` 8.5, `additions.md` 11)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.crate_hash import built_hash, source_hash
from core.errors import RunError, ToolMissingError
from core.paths import CRATE_DIR, SOURCE_ROOT
from core.rust_build import Extension, RustPolicy, ensure_extension, installed_package, take_rust_flags


def make_crate(root: Path) -> Path:
    crate = root / "crate"
    (crate / "src" / "deep").mkdir(parents=True)
    (crate / "Cargo.toml").write_text("[package]")
    (crate / "src" / "lib.rs").write_text("fn a() {}")
    (crate / "src" / "deep" / "b.rs").write_text("fn b() {}")
    (crate / "src" / "note.txt").write_text("no source")
    return crate


def fake_binary(package: Path, digest: str) -> None:
    package.mkdir(exist_ok=True)
    (package / "x.abi3.so").write_bytes(
        b"\x7fELF..PASSIVBOT_SOURCE_HASH=no..PASSIVBOT_SOURCE_HASH=" + digest.encode() + b"\0"
    )


class Fake:
    """An extension whose build writes a fake binary; counts builds and keeps what the user was told."""

    def __init__(self, root: Path, build: Callable[[Path], None] | None = None) -> None:
        self.crate, self.package = make_crate(root), root / "package"
        self.builds = 0
        self.said: list[str] = []
        self.extension = Extension(
            crate=self.crate,
            locate=lambda: self.package if self.package.exists() else None,
            build=build or self._build,
            say=self.said.append,
        )

    def _build(self, crate: Path) -> None:
        self.builds += 1
        fake_binary(self.package, source_hash(crate))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def test_source_hash(tmp_path: Path) -> None:
    """Paths and contents in the order of the paths, a zero byte after each; other files do not count."""
    crate = make_crate(tmp_path)
    parts = [(b"Cargo.toml", b"[package]"), (b"src/deep/b.rs", b"fn b() {}"), (b"src/lib.rs", b"fn a() {}")]
    expected = hashlib.sha256(b"".join(name + b"\0" + content + b"\0" for name, content in parts)).hexdigest()
    assert source_hash(crate) == expected
    (crate / "src" / "lib.rs").rename(crate / "src" / "c.rs")
    assert source_hash(crate) != expected


def test_built_hash(tmp_path: Path) -> None:
    """The hash is read from the binary; a module of another kind has none."""
    assert built_hash(tmp_path) is None
    fake_binary(tmp_path, "ab" * 32)
    assert built_hash(tmp_path) == built_hash(tmp_path / "x.abi3.so") == "ab" * 32
    (tmp_path / "x.abi3.so").write_bytes(b"")
    assert built_hash(tmp_path) is None


def test_build_script_computes_the_same_hash() -> None:
    """What the installed extension says of itself is what stands in its binary."""
    module = pytest.importorskip("passivbot_rust", reason="the Rust extension is not built")
    package = installed_package()
    assert package is not None
    assert built_hash(package) == module.SOURCE_HASH
    if source_hash(CRATE_DIR) != module.SOURCE_HASH and os.environ.get("CI") != "true":
        pytest.skip("the installed extension is not of these sources")
    assert source_hash(CRATE_DIR) == module.SOURCE_HASH


def test_missing_then_fresh_then_stale(fake: Fake) -> None:
    """Built when missing, left alone when fresh whatever the times say, rebuilt when a source has changed."""
    ensure_extension(RustPolicy(), fake.extension)
    assert fake.builds == 1
    assert "is not built yet: building" in fake.said[0]
    assert "built in" in fake.said[1]
    (fake.crate / "Cargo.toml").touch()
    ensure_extension(RustPolicy(), fake.extension)
    assert fake.builds == 1
    (fake.crate / "src" / "lib.rs").write_text("fn a() { 1; }")
    ensure_extension(RustPolicy(), fake.extension)
    assert fake.builds == 2
    assert "is older than its sources" in fake.said[2]


def test_policies(fake: Fake) -> None:
    """Skip uses a stale one but needs one; fail stops; force builds a fresh one."""
    with pytest.raises(ToolMissingError, match="is not built yet"):
        ensure_extension(RustPolicy(skip=True), fake.extension)
    with pytest.raises(RunError, match="is not built yet"):
        ensure_extension(RustPolicy(fail_on_stale=True), fake.extension)
    fake_binary(fake.package, "00" * 32)
    ensure_extension(RustPolicy(skip=True), fake.extension)
    with pytest.raises(RunError, match="is older than its sources"):
        ensure_extension(RustPolicy(fail_on_stale=True), fake.extension)
    assert fake.builds == 0
    ensure_extension(RustPolicy(force=True), fake.extension)
    ensure_extension(RustPolicy(force=True), fake.extension)
    assert fake.builds == 2
    ensure_extension(RustPolicy(fail_on_stale=True), fake.extension)


def test_without_sources_nothing_happens(tmp_path: Path) -> None:
    def locate() -> Path | None:
        raise AssertionError("nothing to compare with")

    ensure_extension(RustPolicy(force=True), Extension(crate=tmp_path, locate=locate))


def test_failing_builds(tmp_path: Path) -> None:
    """A failure reaches the caller and frees the lock; a build of other sources is an error."""

    def fail(crate: Path) -> None:
        raise RunError("building failed: error[E0425]")

    fake = Fake(tmp_path / "a", build=fail)
    for _ in range(2):
        with pytest.raises(RunError, match="E0425"):
            ensure_extension(RustPolicy(), fake.extension)
    other = Fake(tmp_path / "b", build=lambda crate: fake_binary(tmp_path / "b" / "package", "00" * 32))
    with pytest.raises(RunError, match="is not of these sources"):
        ensure_extension(RustPolicy(), other.extension)


@pytest.mark.parametrize(
    ("argv", "variable", "policy", "rest"),
    [
        (["a", "--skip-rust-compile"], "", RustPolicy(skip=True), ["a"]),
        (["--force-rust-compile", "-sb", "5"], "0", RustPolicy(force=True), ["-sb", "5"]),
        (["--fail-on-stale-rust"], "TRUE", RustPolicy(skip=True, fail_on_stale=True), []),
        (["--", "--skip-rust-compile"], "", RustPolicy(), ["--", "--skip-rust-compile"]),
    ],
)
def test_flags(argv: list[str], variable: str, policy: RustPolicy, rest: list[str]) -> None:
    """The flags leave the arguments before anything else reads them."""
    assert take_rust_flags(argv, {"SKIP_RUST_COMPILE": variable}) == (policy, rest)


PROCESS = """
import sys
sys.path[:0] = [{src!r}]
from pathlib import Path
from core.crate_hash import source_hash
from core.rust_build import Extension, RustPolicy, ensure_extension
root = Path({root!r})
package = root / "package"
def build(crate):
    with (root / "builds").open("a") as log:
        log.write("x")
    package.mkdir()
    (package / "x.so").write_bytes(b"PASSIVBOT_SOURCE_HASH=" + source_hash(crate).encode())
locate = lambda: package if package.exists() else None
ensure_extension(RustPolicy(), Extension(crate=root / "crate", locate=locate, build=build))
"""


def test_several_processes_build_once(tmp_path: Path) -> None:
    """Processes that start together find it stale together; one builds, the others wait and use it."""
    make_crate(tmp_path)
    script = PROCESS.format(src=str(SOURCE_ROOT / "src"), root=str(tmp_path))
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait(timeout=60) for process in started] == [0] * 4
    assert (tmp_path / "builds").read_text() == "x"


@pytest.mark.parametrize(
    ("tools", "message"),
    [((), "no Rust toolchain"), (("cargo",), "no C linker"), (("cargo", "cc"), "needs a virtual environment")],
)
def test_missing_tools(tmp_path: Path, tools: tuple[str, ...], message: str) -> None:
    """What a build needs and does not find is named, with the way to get it."""
    for name in tools:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    script = f"import sys; sys.path.insert(0, {str(SOURCE_ROOT / 'src')!r}); sys.prefix = sys.base_prefix\n"
    script += "from pathlib import Path; from core.rust_build import maturin_develop; maturin_develop(Path('.'))"
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert "ToolMissingError" in result.stderr.splitlines()[-1]
    assert message in result.stderr
