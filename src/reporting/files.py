"""The directory of one backtest result (`backtest_engine.md` 17.5, `config_cli_suite.md` 16).

    {results_path}/{YYYY-MM-DDTHH_MM_SS}[_2, _3, ...]/    UTC; a number when two runs end in the same second
        analysis.json  config.json  fills.csv  balance_and_equity.csv.gz
        balance_and_equity.png  balance_and_equity_logy.png  drawdown.png  exposure.png
        fills_plots/{COIN}.png                            coins with fills, unless switched off

Everything is written into a hidden directory beside it, which takes its name at the very end: a result is complete or
not there.
"""

from __future__ import annotations

import errno
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from config.dump import streamlined_json, strip_metadata
from core.clock import Clock
from core.dates import ts_to_date
from core.errors import RunError
from core.files import remove_orphans, temporary_name
from core.terms import PSIDES
from simulation.results import BacktestResult, CandleCube

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)


def post_process(
    result: BacktestResult,
    config: Mapping[str, Any],
    results_path: str | Path,
    exchange: str,
    *,
    clock: Clock,
    candles: CandleCube | None = None,
) -> Path:
    """Write all files of a result and return their directory.

    `results_path` is `{base_dir}/{dataset}`, `exchange` the dataset's name for headings, `config` the normalised
    config of the run. With `candles` every coin that traded gets a plot. Raises RunError when something cannot be
    written; then nothing is left behind.
    """
    parent = Path(results_path)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_orphans(parent, "result", clock.now_ms())
        with _staging(parent) as folder:
            _write_plots(folder, result, config, exchange, candles)
            _write_tables(folder, result)
            _write_documents(folder, result, config)
            return _publish(folder, parent / time_name(clock.now_ms()))
    except OSError as exc:
        raise RunError(
            f"cannot write the result of the backtest to {parent}: {exc.strerror or exc}; nothing was kept. "
            "Make room, or set backtest.base_dir to another place"
        ) from exc


def time_name(ms: int) -> str:
    """A moment as the name of a directory: `YYYY-MM-DDTHH_MM_SS`, UTC."""
    return ts_to_date(ms // 1000 * 1000).replace(":", "_")


@contextmanager
def _staging(parent: Path) -> Iterator[Path]:
    """A hidden directory that is gone afterwards, unless it was renamed."""
    folder = temporary_name(parent / "result")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> Path:
    """Give the directory its name, with a number if that name is taken."""
    for number in itertools.count(1):
        final = target if number == 1 else target.with_name(f"{target.name}_{number}")
        if final.exists():
            continue
        try:
            return folder.rename(final)
        except OSError as exc:  # another run took the name just now
            if exc.errno not in _TAKEN:
                raise
    raise AssertionError("numbers do not end")


def _write_tables(folder: Path, result: BacktestResult) -> None:
    result.fills.to_csv(folder / "fills.csv", date_format=TIME_FORMAT)
    result.balance_and_equity.to_csv(
        folder / "balance_and_equity.csv.gz",
        date_format=TIME_FORMAT,
        compression={"method": "gzip", "compresslevel": 6, "mtime": 0},
    )


def _write_documents(folder: Path, result: BacktestResult, config: Mapping[str, Any]) -> None:
    """Config and analysis; the analysis last, because readers of results look for it."""
    documented = {**strip_metadata(dict(config)), "analysis": result.analysis}
    (folder / "config.json").write_text(streamlined_json(documented, sort_keys=True) + "\n", encoding="utf-8")
    analysis = json.dumps(result.analysis, indent=4, sort_keys=True, allow_nan=False)
    (folder / "analysis.json").write_text(analysis + "\n", encoding="utf-8")


def _write_plots(
    folder: Path, result: BacktestResult, config: Mapping[str, Any], exchange: str, candles: CandleCube | None
) -> None:
    from reporting.plots import catalogue  # lazily: matplotlib takes a third of a second

    limits = {pside: float(config["bot"][pside]["total_wallet_exposure_limit"]) for pside in PSIDES}
    coins = sorted(set(result.fills["coin"])) if candles is None else candles.coins
    subject = catalogue.Subject(exchange, tuple(coins), limits)
    catalogue.write_run_figures(folder, result, subject)
    if candles is not None and len(result.fills):
        catalogue.write_coin_figures(folder / "fills_plots", result, subject, candles)
