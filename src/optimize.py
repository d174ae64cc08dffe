"""Search parameters for a config from the terminal: `python3 src/optimize.py [CONFIG] [options]`, `--help` for more."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import UsageError
from core.signals import end_on_sigterm, run_and_exit

logger = logging.getLogger("optimize")


def main(argv: Sequence[str]) -> int:
    from config.cli import parse_command_line
    from config.programs import OPTIMIZE
    from core.rust_build import Extension, ensure_extension, take_rust_flags

    rust, words = take_rust_flags(argv)
    given = parse_command_line(OPTIMIZE, words)
    if given.help_text is not None:
        sys.stdout.write(given.help_text + "\n")
        return 0
    from runs.program_config import read_config  # 0.1 s that `--help` should not wait for

    end_on_sigterm()
    directory = given.options.get("resume")
    if directory is not None and given.config_path is not None:
        raise UsageError(f"--resume {directory} has a config of its own: leave {given.config_path} out")
    config = None if directory is not None else read_config(given.config_path, given.values, given.options)
    ensure_extension(rust, Extension(say=logger.warning))
    optimize(config, directory, given.values, given.options)
    return 0


def optimize(
    config: dict[str, Any] | None, directory: str | None, values: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """A new run of `config`, or the rest of the one in `directory`."""
    from config.bounds import fine_tune
    from config.variation import with_usable_probabilities
    from runs.search import resume_search, start_search

    if directory is not None:
        resume_search(Path(directory), values, options)
    elif config is not None:
        usable = with_usable_probabilities(config, values)
        start_search(fine_tune(usable, options.get("fine_tune_params", ())), options)


if __name__ == "__main__":
    run_and_exit(main, sys.argv[1:])
