"""Passivbot's core in Rust: order mathematics, planner, backtest engine, metrics.

Quantities are signed (buy > 0, sell < 0), prices in quote currency, times in milliseconds UTC. `_pct` is a fraction of
one, spans are minutes unless they say hours and are never rounded. Every refusal is a ValueError (`EngineError`) whose
text names the path of the value; wrong types are a TypeError. No input reaches a panic.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

SOURCE_HASH: Final[str]
"""Hex SHA-256 of the crate's sources at build time; `core/rust_build.py` compares it with the sources at hand."""

class EngineError(ValueError):
    """The engine refuses its input. `field`, `symbol_idx` and `row` say where; None where they do not apply."""

    field: str | None
    symbol_idx: int | None
    row: int | None

@final
class HlcvsBundle:
    """The arrays of a dataset with its meta data (backtest_engine.md 16). Keeps the arrays alive, copies nothing.

    `hlcvs` float64 [rows, coins, 4]: high, low, close, volume (base units), NaN outside a coin's valid rows;
    `btc_usd` float64 [rows]; `timestamps` int64 [rows], ms. Read-only and memory-mapped arrays are welcome; C order is
    the fast path. `meta`: requested_start_timestamp_ms, effective_start_timestamp_ms, warmup_minutes_requested,
    warmup_minutes_provided and `coins`, a list of dicts with symbol, exchange, quote, base, qty_step, price_step, min_qty,
    min_cost, c_mult, maker_fee, taker_fee, first_valid_index, last_valid_index, warmup_minutes, trade_start_index and
    optionally index (default: position) and coin (default: symbol).

    ValueError: shapes disagree, or a key of `meta` is missing or of the wrong type. TypeError: wrong dtype or dimension.
    """

    def __new__(
        cls,
        hlcvs: NDArray[np.float64],
        btc_usd: NDArray[np.float64],
        timestamps: NDArray[np.int64],
        meta: dict[str, Any],
    ) -> HlcvsBundle: ...
    @property
    def hlcvs(self) -> NDArray[np.float64]: ...
    @property
    def btc_usd(self) -> NDArray[np.float64]: ...
    @property
    def timestamps(self) -> NDArray[np.int64]: ...
    @property
    def meta(self) -> dict[str, Any]: ...
    def coin_meta(self, name: str) -> dict[str, Any] | None:
        """The meta entry of a coin, found by symbol or coin name; None if there is none."""

    def coins_len(self) -> int:
        """Number of coins."""

# --- backtests --------------------------------------------------------------------------------------------------------

_Metrics: TypeAlias = dict[str, float | None]
_Result: TypeAlias = tuple[NDArray[np.object_] | None, NDArray[np.float64] | None, _Metrics, _Metrics]

def backtest_multi_coin(
    bundle: HlcvsBundle,
    bot_params: list[dict[str, Any]],
    exchange_params_list: list[dict[str, Any]],
    backtest_params_dict: dict[str, Any],
) -> _Result:
    """Replay a dataset: (fills, equities, metrics in USD, metrics in BTC).

    `bot_params`: for each coin {"long": {...}, "short": {...}} with the keys of `bot_param_names()`; `exchange_params_list`:
    for each coin qty_step, price_step, min_qty, min_cost, c_mult and optionally maker_fee; `backtest_params_dict`: the keys
    of backtest_engine.md 2.2. `fills` is an object array [n, 18] (14.1), `equities` float64 [m, 3]: ms, USD, BTC; both are
    None with `metrics_only`. `plan_every_row` switches off the skipping of planning passes that nothing can fill, for
    tests: results are the same. Metrics are keyed as in `metric_table()`, None where not finite.

    The interpreter lock is free meanwhile; Ctrl-C raises KeyboardInterrupt.
    ValueError: a missing key, a bad value (text names its path), or the planner refuses a row (`EngineError.row`).
    KeyError: neither name of a renamed bot key is present. TypeError: a value of the wrong type.
    """

def run_backtest_bundle(
    bundle: HlcvsBundle,
    bot_params: list[dict[str, Any]],
    exchange_params_list: list[dict[str, Any]],
    backtest_params_dict: dict[str, Any],
) -> _Result:
    """Older name of `backtest_multi_coin`."""

def run_backtest(
    hlcvs: NDArray[np.float64],
    btc_usd: NDArray[np.float64],
    bot_params: list[dict[str, Any]],
    exchange_params_list: list[dict[str, Any]],
    backtest_params_dict: dict[str, Any],
) -> _Result:
    """`backtest_multi_coin` on bare arrays: `hlcvs` float64 [rows, columns, 4], `btc_usd` float64 [rows]."""

def run_backtest_columns(
    hlcvs: NDArray[np.float64],
    btc_usd: NDArray[np.float64],
    bot_params: list[dict[str, Any]],
    exchange_params_list: list[dict[str, Any]],
    backtest_params_dict: dict[str, Any],
) -> tuple[dict[str, NDArray[Any]], NDArray[np.float64], _Metrics, _Metrics]:
    """`run_backtest` with the fills as columns: (columns, equities, metrics in USD, metrics in BTC).

    `pandas.DataFrame(columns)` is a table of fills. The columns are those of backtest_engine.md 14.1 as float64 arrays, but
    `index` uint32, `timestamp` int64, `coin_index` uint32 (position in `backtest_params_dict["coins"]`) and `order_type_id`
    uint16 (`order_type_id_to_snake`). No Python object a fill is made. `metrics_only` is ignored.
    """

def backtest_single_coin(
    hlcv: NDArray[np.float64],
    btc_usd: NDArray[np.float64],
    bot_params: dict[str, Any],
    exchange_params: dict[str, Any],
    backtest_params_dict: dict[str, Any],
) -> _Result:
    """`backtest_multi_coin` for one coin: `hlcv` float64 [rows, 4], one dict of each kind."""

def backtest_batch(
    bundle: HlcvsBundle,
    specs: Sequence[dict[str, Any]],
    n_threads: int = 0,
    cancel: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.float64], list[str | None]]:
    """Run many candidates over one dataset in threads, metrics only: (values, errors).

    A spec holds bot_params, exchange_params_list, backtest_params_dict and optionally rows = [i0, i1], a half-open range of
    the bundle to which the rows and times of the spec then refer. `n_threads` 0 means one a core. `values` is float64
    [specs, 106]: the metrics of `metric_table()` in USD, then in BTC, NaN where not finite; `errors` holds None or the
    error text of a spec. A failing spec does not stop the others. A non-zero `cancel[0]`, like Ctrl-C, stops all within a
    second.
    """

@final
class EngineQueue:
    """Runs over some datasets that are handed in one by one and answered as they finish, metrics only.

    One Python thread lives in `serve`, with the interpreter lock released; others submit and poll.
    """

    def __new__(cls, bundles: Sequence[HlcvsBundle]) -> EngineQueue: ...
    def serve(self, threads: int) -> None:
        """Do the runs on so many threads, until `close`."""

    def submit(self, id: int, dataset: int, spec: dict[str, Any]) -> None:
        """Queue a run of the form that `backtest_batch` takes, on the dataset at a position. ValueError: it cannot be read."""

    def poll(self, timeout_s: float) -> list[tuple[int, NDArray[np.float64], str | None, float]]:
        """What has finished: (id, values, error, seconds), values float64 [106] as of `backtest_batch`.

        Waits until there is something, at most `timeout_s`; a panic of the engine is the error of its run.
        """

    def running(self) -> list[tuple[int, float]]:
        """The runs that are being done, with the seconds since they began."""

    def cancel(self, id: int) -> None:
        """Stop a run that is being done; it is answered with an error."""

    def close(self) -> None:
        """Drop what waits, stop what runs, end `serve`."""

def metric_table() -> list[tuple[str, bool, bool, str, str, str]]:
    """The 53 metrics in their fixed order: (name, per currency, has a weighted form, "max" | "min" | "none", unit, meaning)."""

def bot_param_names() -> list[str]:
    """Names of the bot parameters in the order of backtest_engine.md 2.4."""

# --- planner ----------------------------------------------------------------------------------------------------------

def calc_ideal_orders_orchestrator(input_json: str) -> str:
    """Every order that should rest, planned from a snapshot: JSON in, compact JSON out (orchestrator.md 4, 5).

    ValueError: the request cannot be parsed (names the member), or the planner refuses it (`EngineError`).
    """

def compute_ideal_orders_json(input_json: str) -> str:
    """Older name of `calc_ideal_orders_orchestrator`."""

# --- orders of one coin and side --------------------------------------------------------------------------------------

def calc_min_entry_qty_py(price: float, c_mult: float, qty_step: float, min_qty: float, min_cost: float) -> float:
    """Smallest quantity an entry may have at `price` (orders.md 5.3)."""

def calc_next_entry_long_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    entry_grid_double_down_factor: float,
    entry_grid_spacing_volatility_weight: float,
    entry_grid_spacing_we_weight: float,
    entry_grid_spacing_pct: float,
    entry_initial_ema_dist: float,
    entry_initial_qty_pct: float,
    entry_trailing_double_down_factor: float,
    entry_trailing_grid_ratio: float,
    entry_trailing_retracement_pct: float,
    entry_trailing_retracement_we_weight: float,
    entry_trailing_retracement_volatility_weight: float,
    entry_trailing_threshold_pct: float,
    entry_trailing_threshold_we_weight: float,
    entry_trailing_threshold_volatility_weight: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    ema_bands_lower: float,
    entry_volatility_logrange_ema_1h: float,
    order_book_bid: float,
) -> tuple[float, float, str]:
    """The next entry of a long: (signed quantity, price, order type name), not quantised (orders.md 8.9).

    ValueError: an argument is not finite, or a step, the multiplier, band or touch is not positive.
    """

def calc_entries_long_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    entry_grid_double_down_factor: float,
    entry_grid_spacing_volatility_weight: float,
    entry_grid_spacing_we_weight: float,
    entry_grid_spacing_pct: float,
    entry_initial_ema_dist: float,
    entry_initial_qty_pct: float,
    entry_trailing_double_down_factor: float,
    entry_trailing_grid_ratio: float,
    entry_trailing_retracement_pct: float,
    entry_trailing_retracement_we_weight: float,
    entry_trailing_retracement_volatility_weight: float,
    entry_trailing_threshold_pct: float,
    entry_trailing_threshold_we_weight: float,
    entry_trailing_threshold_volatility_weight: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    ema_bands_lower: float,
    entry_volatility_logrange_ema_1h: float,
    order_book_bid: float,
) -> list[tuple[float, float, int]]:
    """The entry ladder of a long: (signed quantity, price, order type id) for each order (orders.md 8.10).

    ValueError: as `calc_next_entry_long_py`.
    """

def calc_next_close_long_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    close_grid_markup_end: float,
    close_grid_markup_start: float,
    close_grid_qty_pct: float,
    close_trailing_grid_ratio: float,
    close_trailing_qty_pct: float,
    close_trailing_retracement_pct: float,
    close_trailing_threshold_pct: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    risk_wel_enforcer_threshold: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    order_book_ask: float,
) -> tuple[float, float, str]:
    """The next close of a long: (signed quantity, price, order type name), not quantised (orders.md 9.5).

    ValueError: an argument is not finite, or a step or the multiplier is not positive.
    """

def calc_closes_long_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    close_grid_markup_end: float,
    close_grid_markup_start: float,
    close_grid_qty_pct: float,
    close_trailing_grid_ratio: float,
    close_trailing_qty_pct: float,
    close_trailing_retracement_pct: float,
    close_trailing_threshold_pct: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    risk_wel_enforcer_threshold: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    order_book_ask: float,
) -> list[tuple[float, float, int]]:
    """The close ladder of a long: (signed quantity, price, order type id), away from the market (orders.md 9.6).

    ValueError: as `calc_next_close_long_py`.
    """

def calc_next_entry_short_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    entry_grid_double_down_factor: float,
    entry_grid_spacing_volatility_weight: float,
    entry_grid_spacing_we_weight: float,
    entry_grid_spacing_pct: float,
    entry_initial_ema_dist: float,
    entry_initial_qty_pct: float,
    entry_trailing_double_down_factor: float,
    entry_trailing_grid_ratio: float,
    entry_trailing_retracement_pct: float,
    entry_trailing_retracement_we_weight: float,
    entry_trailing_retracement_volatility_weight: float,
    entry_trailing_threshold_pct: float,
    entry_trailing_threshold_we_weight: float,
    entry_trailing_threshold_volatility_weight: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    ema_bands_upper: float,
    entry_volatility_logrange_ema_1h: float,
    order_book_ask: float,
) -> tuple[float, float, str]:
    """The next entry of a short: (signed quantity, price, order type name), not quantised (orders.md 8.9).

    ValueError: an argument is not finite, or a step, the multiplier, band or touch is not positive.
    """

def calc_entries_short_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    entry_grid_double_down_factor: float,
    entry_grid_spacing_volatility_weight: float,
    entry_grid_spacing_we_weight: float,
    entry_grid_spacing_pct: float,
    entry_initial_ema_dist: float,
    entry_initial_qty_pct: float,
    entry_trailing_double_down_factor: float,
    entry_trailing_grid_ratio: float,
    entry_trailing_retracement_pct: float,
    entry_trailing_retracement_we_weight: float,
    entry_trailing_retracement_volatility_weight: float,
    entry_trailing_threshold_pct: float,
    entry_trailing_threshold_we_weight: float,
    entry_trailing_threshold_volatility_weight: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    ema_bands_upper: float,
    entry_volatility_logrange_ema_1h: float,
    order_book_ask: float,
) -> list[tuple[float, float, int]]:
    """The entry ladder of a short: (signed quantity, price, order type id) for each order (orders.md 8.10).

    ValueError: as `calc_next_entry_short_py`.
    """

def calc_next_close_short_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    close_grid_markup_end: float,
    close_grid_markup_start: float,
    close_grid_qty_pct: float,
    close_trailing_grid_ratio: float,
    close_trailing_qty_pct: float,
    close_trailing_retracement_pct: float,
    close_trailing_threshold_pct: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    risk_wel_enforcer_threshold: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    order_book_bid: float,
) -> tuple[float, float, str]:
    """The next close of a short: (signed quantity, price, order type name), not quantised (orders.md 9.5).

    ValueError: an argument is not finite, or a step or the multiplier is not positive.
    """

def calc_closes_short_py(
    qty_step: float,
    price_step: float,
    min_qty: float,
    min_cost: float,
    c_mult: float,
    close_grid_markup_end: float,
    close_grid_markup_start: float,
    close_grid_qty_pct: float,
    close_trailing_grid_ratio: float,
    close_trailing_qty_pct: float,
    close_trailing_retracement_pct: float,
    close_trailing_threshold_pct: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    risk_wel_enforcer_threshold: float,
    balance: float,
    position_size: float,
    position_price: float,
    min_since_open: float,
    max_since_min: float,
    max_since_open: float,
    min_since_max: float,
    order_book_bid: float,
) -> list[tuple[float, float, int]]:
    """The close ladder of a short: (signed quantity, price, order type id), away from the market (orders.md 9.6).

    ValueError: as `calc_next_close_short_py`.
    """

# --- risk and coin selection ------------------------------------------------------------------------------------------

def calc_unstucking_close_py(
    balance: float,
    allowance_long: float,
    allowance_short: float,
    positions: Sequence[Mapping[str, Any]],
) -> tuple[int, int, float, float, int] | None:
    """The unstuck close of the account: (idx, pside 0 | 1, signed quantity, price, order type id) or None (orders.md 10.2).

    Positions: idx, side, position_size, position_price, wallet_exposure_limit, risk_we_excess_allowance_pct,
    unstuck_threshold, unstuck_close_pct, unstuck_ema_dist, ema_band_upper, ema_band_lower, current_price, price_step,
    qty_step, min_qty, min_cost, c_mult. ValueError: a key is missing, or side is neither long nor short.
    """

def calc_twel_enforcer_orders_py(
    side: str,
    threshold: float,
    total_wallet_exposure_limit: float,
    effective_n_positions: int,
    balance: float,
    positions: Sequence[Mapping[str, Any]],
    skip_idx: int | None = None,
) -> list[tuple[int, float, float, int]]:
    """Closes that bring a side back to its total limit: (idx, signed quantity, price, order type id) (orders.md 10.3).

    Positions: idx, position_size, position_price, market_price, base_wallet_exposure_limit, c_mult, qty_step, price_step,
    min_qty, min_cost. The coin `skip_idx` counts in the total but is not reduced. ValueError: as above.
    """

def gate_entries_by_twel_py(
    side: str,
    balance: float,
    total_wallet_exposure_limit: float,
    positions: Sequence[Mapping[str, Any]],
    entries: Sequence[Mapping[str, Any]],
) -> list[tuple[int, float, float, int]]:
    """Entries that fit below a side's total limit: (idx, quantity, price, order type id), in input order (orders.md 10.5).

    Positions: idx, position_size, position_price, c_mult. Entries: idx, qty (> 0), price, qty_step, min_qty, min_cost,
    c_mult, market_price, order_type_id. ValueError: as above, or an unknown order type id.
    """

def select_coin_indices_py(
    features: Sequence[Mapping[str, Any]],
    max_positions: int,
    volume_drop_pct: float,
    volatility_drop_pct: float,
    require_forager: bool,
) -> list[int]:
    """Coins that deserve a slot, best first (orchestrator.md 9.3); all enabled ones in input order without `require_forager`.

    Features: index, enabled, volume_score, volatility_score. KeyError: one of them is missing.
    """

# --- scalars ----------------------------------------------------------------------------------------------------------

def round_(n: float, step: float) -> float:
    """`n` to the nearest multiple of `step`, half away from zero, cleaned to ten decimal places (orders.md 4.1)."""

def round_up(n: float, step: float) -> float:
    """`n` up to a multiple of `step`, without tolerance."""

def round_dn(n: float, step: float) -> float:
    """`n` down to a multiple of `step`, without tolerance."""

def round_dynamic(n: float, d: int) -> float:
    """`n` to `d` significant digits (orders.md 4.2)."""

def round_dynamic_up(n: float, d: int) -> float:
    """`n` up to `d` significant digits."""

def round_dynamic_dn(n: float, d: int) -> float:
    """`n` down to `d` significant digits."""

def calc_diff(x: float, y: float) -> float:
    """abs(x - y) / abs(y); for y = 0: 0 if x = 0, else infinity."""

def hysteresis(val: float, prev_val: float, pct: float) -> float:
    """`prev_val` until `val` has moved by more than `pct` of it; a non-finite argument gives `prev_val`."""

def cost_to_qty(cost: float, price: float, c_mult: float) -> float:
    """Quantity that costs `cost` at `price`; 0 without a positive price."""

def qty_to_cost(qty: float, price: float, c_mult: float) -> float:
    """Cost of `qty` at `price`, never negative."""

def calc_effective_min_cost(min_qty: float, min_cost: float, price: float, c_mult: float) -> float:
    """Smallest cost of an order near `price`, quote currency (orders.md 5.4)."""

def shared_exposure_limit(total_wallet_exposure_limit: float, n_positions: int, n_tradable: int, n_held: int) -> float:
    """Limit of one position where coins share their side's total: total / max(min(n_positions, n_tradable), n_held),
    0 without any share. The backtester uses it with n_held 0 (additions.md 3 and 13)."""

def initial_entry_is_large_enough(
    balance: float,
    wallet_exposure_limit: float,
    risk_we_excess_allowance_pct: float,
    entry_initial_qty_pct: float,
    effective_min_cost: float,
) -> bool:
    """Whether the first order of a flat coin would reach the minimum, as the planner asks it (orchestrator.md 9.4)."""

def calc_ema_series(values: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """Bias-corrected EMA of each value, float64 [n], seeded by the first (candles.md 10.1). `span` is not rounded;
    a value that is not finite repeats the one before, as the first value it makes everything NaN."""

def calc_log_ranges(highs: NDArray[np.float64], lows: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(high / low) of each candle, float64 [n], the engine's bits; 0 where a price is not above 0.
    ValueError: lengths differ."""

def calc_wallet_exposure(c_mult: float, balance: float, position_size: float, position_price: float) -> float:
    """Cost of a position over the balance; 0 without balance or position."""

def calc_new_psize_pprice(
    psize: float, pprice: float, qty: float, price: float, qty_step: float
) -> tuple[float, float]:
    """Position (size, price) after adding `qty` at `price` (orders.md 4.4)."""

def calc_pnl_long(entry_price: float, close_price: float, qty: float, c_mult: float) -> float:
    """Profit of closing `qty` (any sign) of a long."""

def calc_pnl_short(entry_price: float, close_price: float, qty: float, c_mult: float) -> float:
    """Profit of closing `qty` (any sign) of a short."""

def calc_pprice_diff_int(pside: int, pprice: float, price: float) -> float:
    """How far `price` is under water from the position price, as a fraction; pside 0 long, 1 short, else ValueError."""

def calc_pside_price_diff_int(pside: int, pprice: float, price: float) -> float:
    """Alias of `calc_pprice_diff_int`."""

def calc_price_diff_pside_int(pside: int, pprice: float, price: float) -> float:
    """Alias of `calc_pprice_diff_int`."""

def calc_order_price_diff(side: str, order_price: float, market_price: float) -> float:
    """Distance of an order from the market, positive away from it; side "buy" or "sell" in any case, else ValueError."""

def calc_auto_unstuck_allowance(
    balance: float, loss_allowance_pct: float, pnl_cumsum_max: float, pnl_cumsum_last: float
) -> float:
    """Loss that unstucking may realise, quote currency (orders.md 10.1)."""

def trailing_bundle_default_py() -> tuple[float, float, float, float]:
    """(min_since_open, max_since_min, max_since_open, min_since_max) before the first candle."""

def update_trailing_bundle_py(
    highs: NDArray[np.float64],
    lows: NDArray[np.float64],
    closes: NDArray[np.float64],
    bundle: tuple[float, float, float, float] | None = None,
) -> tuple[float, float, float, float]:
    """The bundle after absorbing candles, float64 [n] each (orders.md 7). ValueError: lengths differ."""

def order_type_id_to_snake(id: int) -> str:
    """Name of an order type. ValueError: unknown id."""

def order_type_snake_to_id(name: str) -> int:
    """Id of an order type. ValueError: unknown name."""

def get_order_id_type_from_string(name: str) -> int:
    """Alias of `order_type_snake_to_id`."""

def all_order_types_ids() -> dict[int, str]:
    """Every order type: id -> name."""
