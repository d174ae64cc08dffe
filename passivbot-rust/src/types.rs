//! Plain data that every module shares: parameters, positions, orders and order types, fills and samples.

/// Position side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pside {
    /// Profits when price rises; sizes are positive.
    Long,
    /// Profits when price falls; sizes are negative.
    Short,
}

impl Pside {
    /// Both, in the order in which everything is processed.
    pub const BOTH: [Self; 2] = [Self::Long, Self::Short];

    /// `long` or `short`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Long => "long",
            Self::Short => "short",
        }
    }

    /// The pside of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|p| p.name() == name)
    }
}

/// One value for each pside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerSide<T> {
    /// Value of the long side.
    pub long: T,
    /// Value of the short side.
    pub short: T,
}

impl<T> PerSide<T> {
    /// Builds both values with one function.
    pub fn from_fn(mut f: impl FnMut(Pside) -> T) -> Self {
        Self { long: f(Pside::Long), short: f(Pside::Short) }
    }

    /// Long, then short.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.long, &self.short].into_iter()
    }
}

impl<T> std::ops::Index<Pside> for PerSide<T> {
    type Output = T;
    #[inline]
    fn index(&self, pside: Pside) -> &T {
        match pside {
            Pside::Long => &self.long,
            Pside::Short => &self.short,
        }
    }
}

impl<T> std::ops::IndexMut<Pside> for PerSide<T> {
    #[inline]
    fn index_mut(&mut self, pside: Pside) -> &mut T {
        match pside {
            Pside::Long => &mut self.long,
            Pside::Short => &mut self.short,
        }
    }
}

/// Trading rules of one market (`orders.md` 3.1).
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeParams {
    /// Smallest quantity increment, contracts.
    pub qty_step: f64,
    /// Smallest price increment, quote currency.
    pub price_step: f64,
    /// Smallest order quantity, contracts.
    pub min_qty: f64,
    /// Smallest order value, quote currency.
    pub min_cost: f64,
    /// Base units in one contract.
    pub c_mult: f64,
}

/// Declares `BotParams` once, with its field names as a table for the boundary.
macro_rules! bot_params {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Parameters of one coin and side after overrides (`orders.md` 3.2); all floats but `n_positions`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct BotParams {
            $($(#[$doc])* pub $name: f64,)*
            /// Configured number of slots of the side.
            pub n_positions: usize,
        }

        impl BotParams {
            /// Names of the float fields in declaration order.
            pub const FLOAT_FIELDS: &[&str] = &[$(stringify!($name)),*];

            /// The float field of that position in `FLOAT_FIELDS`.
            pub fn float_field_mut(&mut self, index: usize) -> Option<&mut f64> {
                let fields: [&mut f64; Self::FLOAT_FIELDS.len()] = [$(&mut self.$name),*];
                fields.into_iter().nth(index)
            }
        }
    };
}

bot_params! {
    /// Markup of the take-profit grid when the position is full.
    close_grid_markup_end,
    /// Markup of the take-profit grid when the position is nearly empty.
    close_grid_markup_start,
    /// Take-profit slice as a fraction of the full size.
    close_grid_qty_pct,
    /// Pull-back that fires the trailing close.
    close_trailing_retracement_pct,
    /// Split between trailing and grid closes, -1..1.
    close_trailing_grid_ratio,
    /// Trailing close slice as a fraction of the full size.
    close_trailing_qty_pct,
    /// Favourable excursion that arms the trailing close.
    close_trailing_threshold_pct,
    /// First span of the price EMAs, minutes.
    ema_span_0,
    /// Second span of the price EMAs, minutes.
    ema_span_1,
    /// Grid re-entry size over position size.
    entry_grid_double_down_factor,
    /// Base distance of a re-entry from the average price.
    entry_grid_spacing_pct,
    /// Widens spacing with volatility.
    entry_grid_spacing_volatility_weight,
    /// Widens spacing with exposure.
    entry_grid_spacing_we_weight,
    /// Offset of the first order from the EMA band.
    entry_initial_ema_dist,
    /// Size of the first order as a fraction of the effective exposure limit.
    entry_initial_qty_pct,
    /// Trailing re-entry size over position size.
    entry_trailing_double_down_factor,
    /// Split between trailing and grid entries, -1..1.
    entry_trailing_grid_ratio,
    /// Bounce that fires a trailing entry.
    entry_trailing_retracement_pct,
    /// Scales the retracement with volatility.
    entry_trailing_retracement_volatility_weight,
    /// Scales the retracement with exposure.
    entry_trailing_retracement_we_weight,
    /// Adverse excursion that arms a trailing entry.
    entry_trailing_threshold_pct,
    /// Scales the threshold with volatility.
    entry_trailing_threshold_volatility_weight,
    /// Scales the threshold with exposure.
    entry_trailing_threshold_we_weight,
    /// Span of the hourly log-range EMA, hours; 0 or less switches it off.
    entry_volatility_ema_span_hours,
    /// Span of the 1-minute log-range EMA of coin selection, minutes.
    filter_volatility_ema_span,
    /// Share of the most volatile coins that coin selection drops.
    filter_volatility_drop_pct,
    /// Span of the 1-minute quote-volume EMA of coin selection, minutes.
    filter_volume_ema_span,
    /// Share of the least traded coins that coin selection drops.
    filter_volume_drop_pct,
    /// Headroom above the per-position limit; negative acts as 0.
    risk_we_excess_allowance_pct,
    /// Exposure limit of the side, over balance.
    total_wallet_exposure_limit,
    /// Unstuck order size as a fraction of the effective exposure limit.
    unstuck_close_pct,
    /// Offset of the unstuck trigger from the far EMA band.
    unstuck_ema_dist,
    /// Loss budget per unit of the side's limit.
    unstuck_loss_allowance_pct,
    /// Exposure ratio above which a position is stuck.
    unstuck_threshold,
    /// Base exposure limit of the position, without allowance.
    wallet_exposure_limit,
    /// Level of the per-position exposure enforcer as a share of the effective limit.
    risk_wel_enforcer_threshold,
    /// Level of the per-side exposure enforcer as a share of the limit.
    risk_twel_enforcer_threshold,
}

impl BotParams {
    /// Exposure limit with the excess allowance (`orders.md` 5.2).
    #[inline]
    pub fn effective_limit(&self) -> f64 {
        if self.wallet_exposure_limit <= 0.0 { self.wallet_exposure_limit } else { self.allowed_limit() }
    }

    /// The limit times one plus the allowance, whatever its sign.
    #[inline]
    pub fn allowed_limit(&self) -> f64 {
        self.wallet_exposure_limit * (1.0 + self.risk_we_excess_allowance_pct.max(0.0))
    }
}

/// Signed size and average price of a position; flat is `(0, 0)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Contracts, long > 0, short < 0.
    pub size: f64,
    /// Volume-weighted entry price.
    pub price: f64,
}

impl Position {
    /// True if there is something to close.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.size != 0.0
    }
}

/// Best bid and best ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBook {
    /// Best bid.
    pub bid: f64,
    /// Best ask.
    pub ask: f64,
}

/// Smallest and largest of the three price EMAs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EmaBands {
    /// Smallest EMA.
    pub lower: f64,
    /// Largest EMA.
    pub upper: f64,
}

/// Price extremes since a position last changed (`orders.md` 7).
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrailingBundle {
    /// Lowest low.
    pub min_since_open: f64,
    /// Highest price after that low.
    pub max_since_min: f64,
    /// Highest high.
    pub max_since_open: f64,
    /// Lowest price after that high.
    pub min_since_max: f64,
}

/// What an order is for; together with the pside it makes the order type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// First order of a flat position.
    EntryInitialNormal,
    /// Completion of a first order that was filled in part.
    EntryInitialPartial,
    /// Re-entry after an excursion and a bounce.
    EntryTrailingNormal,
    /// The same, cut at the exposure limit.
    EntryTrailingCropped,
    /// Re-entry at a fixed distance.
    EntryGridNormal,
    /// The same, cut at the exposure limit.
    EntryGridCropped,
    /// The same, enlarged to swallow a crumb.
    EntryGridInflated,
    /// Take profit.
    CloseGrid,
    /// Take profit after an excursion and a pull-back.
    CloseTrailing,
    /// Reduction of a stuck position at a loss.
    CloseUnstuck,
    /// Reduction of a side above its limit.
    CloseAutoReduceTwel,
    /// Immediate close of everything.
    ClosePanic,
    /// Reduction of a position above its limit.
    CloseAutoReduceWel,
}

/// Order type: a 16-bit id with a fixed name (`orders.md` 3.4). Ids never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderType(u16);

const ORDER_TYPE_NAMES: [&str; 26] = [
    "entry_initial_normal_long",
    "entry_initial_partial_long",
    "entry_trailing_normal_long",
    "entry_trailing_cropped_long",
    "entry_grid_normal_long",
    "entry_grid_cropped_long",
    "entry_grid_inflated_long",
    "close_grid_long",
    "close_trailing_long",
    "close_unstuck_long",
    "close_auto_reduce_twel_long",
    "entry_initial_normal_short",
    "entry_initial_partial_short",
    "entry_trailing_normal_short",
    "entry_trailing_cropped_short",
    "entry_grid_normal_short",
    "entry_grid_cropped_short",
    "entry_grid_inflated_short",
    "close_grid_short",
    "close_trailing_short",
    "close_unstuck_short",
    "close_auto_reduce_twel_short",
    "close_panic_long",
    "close_panic_short",
    "close_auto_reduce_wel_long",
    "close_auto_reduce_wel_short",
];

impl OrderType {
    /// No order.
    pub const EMPTY: Self = Self(u16::MAX);

    /// The type of a kind of order on a pside.
    #[inline]
    pub const fn new(kind: OrderKind, pside: Pside) -> Self {
        let (long, short) = match kind {
            OrderKind::EntryInitialNormal => (0, 11),
            OrderKind::EntryInitialPartial => (1, 12),
            OrderKind::EntryTrailingNormal => (2, 13),
            OrderKind::EntryTrailingCropped => (3, 14),
            OrderKind::EntryGridNormal => (4, 15),
            OrderKind::EntryGridCropped => (5, 16),
            OrderKind::EntryGridInflated => (6, 17),
            OrderKind::CloseGrid => (7, 18),
            OrderKind::CloseTrailing => (8, 19),
            OrderKind::CloseUnstuck => (9, 20),
            OrderKind::CloseAutoReduceTwel => (10, 21),
            OrderKind::ClosePanic => (22, 23),
            OrderKind::CloseAutoReduceWel => (24, 25),
        };
        match pside {
            Pside::Long => Self(long),
            Pside::Short => Self(short),
        }
    }

    /// Numeric id.
    pub const fn id(self) -> u16 {
        self.0
    }

    /// The type of that id.
    pub fn from_id(id: u16) -> Option<Self> {
        (usize::from(id) < ORDER_TYPE_NAMES.len() || id == u16::MAX).then_some(Self(id))
    }

    /// Snake-case name; `empty` for no order.
    pub fn name(self) -> &'static str {
        ORDER_TYPE_NAMES.get(usize::from(self.0)).copied().unwrap_or("empty")
    }

    /// The type of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|t| t.name() == name)
    }

    /// Every type in order of id, `empty` last.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ORDER_TYPE_NAMES.len() as u16).chain([u16::MAX]).map(Self)
    }

    /// True for orders that reduce a position.
    #[inline]
    pub const fn is_close(self) -> bool {
        matches!(self.0, 7..=10 | 18..=25)
    }

    /// The position side the order belongs to.
    #[inline]
    pub const fn pside(self) -> Pside {
        if matches!(self.0, 0..=10 | 22 | 24) { Pside::Long } else { Pside::Short }
    }
}

/// One order: signed quantity, price, type. The empty order has quantity 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// Contracts, buy > 0, sell < 0.
    pub qty: f64,
    /// Limit price.
    pub price: f64,
    /// Order type.
    pub order_type: OrderType,
}

impl Order {
    /// No order.
    pub const EMPTY: Self = Self { qty: 0.0, price: 0.0, order_type: OrderType::EMPTY };
}

/// Columns of a run's fills, in booking order (`backtest_engine.md` 14.1); all columns have one length.
#[derive(Clone, Debug, Default)]
pub struct FillLog {
    /// Row of the tensor.
    pub index: Vec<u32>,
    /// Coin index.
    pub coin: Vec<u32>,
    /// Realised profit, gross of the fee; 0 for entries.
    pub pnl: Vec<f64>,
    /// Fee, negative when paid.
    pub fee_paid: Vec<f64>,
    /// Account total in USD after the fill, without unrealised profit.
    pub usd_total_balance: Vec<f64>,
    /// BTC wallet after the fill.
    pub btc_cash_wallet: Vec<f64>,
    /// USD wallet after the fill.
    pub usd_cash_wallet: Vec<f64>,
    /// BTC price of the row.
    pub btc_price: Vec<f64>,
    /// Signed quantity.
    pub qty: Vec<f64>,
    /// Fill price.
    pub price: Vec<f64>,
    /// Signed position size after the fill.
    pub psize: Vec<f64>,
    /// Position price after the fill (of a full close: before it).
    pub pprice: Vec<f64>,
    /// Order type.
    pub order_type: Vec<OrderType>,
    /// Signed exposure of the position after the fill.
    pub wallet_exposure: Vec<f64>,
    /// Long exposure of the account after the fill.
    pub twe_long: Vec<f64>,
    /// Short exposure of the account after the fill, zero or negative.
    pub twe_short: Vec<f64>,
    /// Sum of both.
    pub twe_net: Vec<f64>,
}

impl FillLog {
    /// Without fills, with room for `n`; what of it is not used is never touched.
    pub fn with_room(n: usize) -> Self {
        Self {
            index: Vec::with_capacity(n),
            coin: Vec::with_capacity(n),
            pnl: Vec::with_capacity(n),
            fee_paid: Vec::with_capacity(n),
            usd_total_balance: Vec::with_capacity(n),
            btc_cash_wallet: Vec::with_capacity(n),
            usd_cash_wallet: Vec::with_capacity(n),
            btc_price: Vec::with_capacity(n),
            qty: Vec::with_capacity(n),
            price: Vec::with_capacity(n),
            psize: Vec::with_capacity(n),
            pprice: Vec::with_capacity(n),
            order_type: Vec::with_capacity(n),
            wallet_exposure: Vec::with_capacity(n),
            twe_long: Vec::with_capacity(n),
            twe_short: Vec::with_capacity(n),
            twe_net: Vec::with_capacity(n),
        }
    }

    /// Number of fills.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True without fills.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

/// Per-minute samples of the tracked rows, which are consecutive (`backtest_engine.md` 12).
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Row of the first sample.
    pub first_row: usize,
    /// Equity in USD.
    pub equity_usd: Vec<f64>,
    /// Equity in BTC; empty where nobody asked for it.
    pub equity_btc: Vec<f64>,
    /// Net exposure: long minus short.
    pub twe_net: Vec<f64>,
}
