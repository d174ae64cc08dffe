"""Starting configs of a search: files, folders, fronts of earlier runs (`optimizer_pareto_tools.md` 3)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from config.changes import Config
from config.load import load_config
from config.normalize import format_config
from core.clock import Clock
from core.errors import ConfigError, UsageError
from core.paths import SOURCE_ROOT
from optimization.run_files import HOLDOUT_FILE

logger = logging.getLogger(__name__)

LINES_SUFFIX = "_pareto.txt"
OWN_FILES = ("run.json", HOLDOUT_FILE, "walk_forward.json")  # of a run's directory: they are no candidates


def start_files(paths: Sequence[str]) -> list[Path]:
    """The files that `--start` names, those of folders sorted. Raises UsageError for a path without any."""
    files = [file for path in paths for file in _files_of(path)]
    return list(dict.fromkeys(files))


def _files_of(path: str) -> list[Path]:
    given = Path(path).expanduser()
    found = next((candidate for candidate in (given, SOURCE_ROOT / given) if candidate.exists()), None)
    if found is None:
        raise UsageError(f"--start {path} does not exist")
    if found.is_file():
        return [found]
    files = sorted(file for file in found.rglob("*") if _is_start_file(file))
    if not files:
        raise UsageError(f"--start {path} holds no configs (*.json, *{LINES_SUFFIX})")
    return files


def _is_start_file(path: Path) -> bool:
    return path.is_file() and (
        path.name.endswith(LINES_SUFFIX) or (path.suffix == ".json" and path.name not in OWN_FILES)
    )


def start_configs(files: Sequence[Path], clock: Clock) -> list[tuple[str, Config]]:
    """`(name, formatted config)` of what can be read; the rest is skipped with a warning."""
    found = [one for file in files for one in _configs_of(file, clock)]
    logger.info("%d starting configs loaded from %d files", len(found), len(files))
    return found


def _configs_of(file: Path, clock: Clock) -> Iterator[tuple[str, Config]]:
    if not file.name.endswith(LINES_SUFFIX):
        try:
            yield str(file), load_config(file, clock=clock)
        except ConfigError as exc:
            logger.warning("starting config %s is skipped: %s", file, exc)
        return
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            if line.strip():
                yield f"{file}:{number}", format_config(json.loads(line), clock=clock)
        except (ValueError, ConfigError) as exc:
            logger.warning("starting config %s:%d is skipped: %s", file, number, exc)
