"""Is the built extension the one that the crate's sources give? Standard library only: the launcher uses it too.

The build bakes the hash of its sources into the binary (`passivbot-rust/build.rs`), so nothing has to be imported.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from pathlib import Path

_NAMED = ("Cargo.toml", "Cargo.lock", "build.rs", "pyproject.toml", ".cargo/config.toml")
_MARKER = re.compile(rb"PASSIVBOT_SOURCE_HASH=([0-9a-f]{64})")
_BINARIES = ("*.so", "*.pyd", "*.dylib")


def source_hash(crate: Path) -> str:
    """Hex SHA-256 over path and content of the crate's sources, in the order of their paths."""
    files = [crate / name for name in _NAMED if (crate / name).is_file()]
    files += (path for path in (crate / "src").rglob("*.rs") if path.is_file())
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(crate).as_posix().encode(), path) for path in files):
        digest.update(name + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def built_hash(package: Path) -> str | None:
    """The hash in the extension's binary, which is `package` or lies in that directory; None without one."""
    binaries = [package] if package.is_file() else [path for name in _BINARIES for path in sorted(package.glob(name))]
    for binary in binaries:
        if binary.stat().st_size == 0:
            continue
        with binary.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _MARKER.search(content)
            if found:
                return found[1].decode()
    return None
