"""Imported first by every notebook: works from the project root, with its code on the path; figures are shown as PNG."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

os.chdir(ROOT)
for folder in (ROOT, ROOT / "src", ROOT / "notebooks"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _show_figures() -> None:
    """Have Jupyter draw matplotlib figures that were made without pyplot."""
    try:
        from IPython import get_ipython
        from IPython.core.pylabtools import select_figure_formats
    except ImportError:  # imported outside of Jupyter
        return
    if (shell := get_ipython()) is not None:
        select_figure_formats(shell, {"png"}, bbox_inches="tight")


_show_figures()
