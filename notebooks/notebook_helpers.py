"""Everything the notebooks use, in one line: `from notebook_helpers import *` (after `import notebook_setup`)."""

from __future__ import annotations

from backtest import (
    CandleCube,
    build_backtest_payload,
    create_forager_balance_figures,
    execute_backtest,
    plot_fills_long,
    plot_fills_short,
    prepare_hlcvs_mss,
    process_forager_fills,
    run_backtest,
    subset_backtest_payload,
    write_interactive_plot,
)
from config_utils import dump_config, format_config, load_config
from optimization.ideal import distances, ideal_point
from optimization.front_table import front_table
from optimization.members import pareto_dir, read_members
from reporting.fill_tables import holding_times, profit_by_coin, with_exposure
from reporting.plots.exploring import (
    plot_compared,
    plot_metric_scatter,
    plot_pnl_by_coin,
    plot_pnl_cumulative,
    plot_stuck_periods,
    plot_two_series,
)
from reporting.plots.style import Heading
from runs.first_results import newest_or_own_backtest, newest_or_own_front, small_config
from runs.replay import replay
from runs.stored_results import compare_metrics, load_result

__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
