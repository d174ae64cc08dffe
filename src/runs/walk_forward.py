"""Walk-forward: search on a window, look at the next, move on; one table and one figure (`additions.md` 6)."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from config.changes import Config
from config.holdout import consecutive, window_label
from config.scenarios import Window
from core.errors import ConfigError, UsageError
from core.files import write_json
from optimization.run_files import HOLDOUT_FILE
from runs.search import start_search

logger = logging.getLogger("optimize")

FOLDER = "walk_forward"


@dataclass(frozen=True, slots=True)
class Fold:
    """A window that was searched, the next one, and how its front did there (`holdout.json` of its run)."""

    searched: str
    next: str
    run: Path
    result: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """What is shown and stored: the member that the search would have chosen, in both windows."""
        chosen = min(self.result["members"], key=lambda member: member["rank_in"])
        return {
            "searched": self.searched,
            "next": self.next,
            "run": str(self.run),
            "members": len(self.result["members"]),
            "chosen": chosen["id"],
            "inside": chosen["inside"],
            "outside": chosen["outside"],
            "place_outside": chosen["rank_out"],
            "degradation": self.result["degradation"],
            "rank_correlation": self.result["rank_correlation"],
        }


def walk_forward(config: Config, count: int, options: Mapping[str, Any], root: Path) -> list[Fold]:
    """Cut the dates into `count` windows, search each but the last with its share of the iterations, validate on the
    next. Runs and results go below `root`. Raises UsageError for fewer than two windows, ConfigError for a suite."""
    if count < 2:
        raise UsageError(f"--walk-forward {count}: at least two windows are needed")
    if config["backtest"]["suite"]["enabled"]:
        raise ConfigError("walk-forward cuts the dates of the config: switch its suite off")
    base = Window(str(config["backtest"]["start_date"]), str(config["backtest"]["end_date"]))
    windows = consecutive(base, count)
    folds = []
    for number, (window, following) in enumerate(pairwise(windows), start=1):
        logger.info("walk-forward %d of %d: searching %s", number, count - 1, window_label(window))
        run = start_search(_of_window(config, window, following, count), options, root / FOLDER)
        result = json.loads((run / HOLDOUT_FILE).read_text(encoding="utf-8"))
        folds.append(Fold(window_label(window), window_label(following), run, result))
    _tell(folds, root / FOLDER)
    return folds


def _of_window(config: Config, window: Window, following: Window, count: int) -> Config:
    result = copy.deepcopy(config)
    result["backtest"] |= {"start_date": window.start_date, "end_date": window.end_date}
    result["optimize"]["iters"] = max(1, int(config["optimize"]["iters"]) // count)
    result["optimize"]["holdout"] = {"windows": [[following.start_date, following.end_date]]}
    return result


def _tell(folds: list[Fold], folder: Path) -> None:
    from reporting.holdout_tables import print_walk_forward  # rich and matplotlib take their time
    from reporting.plots.style import save
    from reporting.plots.walk_forward import walk_forward_figure

    rows = [fold.row() for fold in folds]
    write_json(folder / "walk_forward.json", {"folds": rows})
    print_walk_forward(rows)
    save(walk_forward_figure(rows), folder / "walk_forward.png")
    logger.info("walk-forward results are in %s", folder)
