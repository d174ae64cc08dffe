"""Imported first by every tool: puts `src/` first on the module path; a tool may be named like a package."""

from __future__ import annotations

import sys
from pathlib import Path

_SRC = str(Path(__file__).resolve().parents[1])
if sys.path[:1] != [_SRC]:
    sys.path.insert(0, _SRC)
