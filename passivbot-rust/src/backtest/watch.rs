//! What one open position waits for: the prices at which its next orders rest, for a range of balances.
//!
//! Orders of one coin depend on others through the balance alone (the entry gate apart, see `Barrier`). Between two fills
//! of a coin the balance moves little, so the levels are taken at both ends of a small range: everything they are made of
//! rises or falls with the balance, so what lies between the ends is bounded by them as long as both ends agree on how the
//! order finds its price.

use crate::closes::{CloseInputs, Exit};
use crate::entries::{EntryInputs, Reentry};
use crate::num::{round_step, wallet_exposure};
use crate::side::Side;
use crate::trailing::TrailingDistances;
use crate::types::{BotParams, ExchangeParams, Position, TrailingBundle};

/// How far the balance may move before the levels are taken anew, as a fraction.
const BALANCE_RANGE: f64 = 1e-3;
/// Slack of balances at which something begins, as a fraction.
const EDGE_SLACK: f64 = 1e-12;
/// Slack of the entry gate's test.
pub const GATE_SLACK: f64 = 1e-9;
/// An order that would take a position to this multiple of its limit is cropped, rounding included.
const CROPPED_SURELY: f64 = 1.02;
/// An order that would take a position to this multiple of its limit ends below it, rounding included.
const CALM_SURELY: f64 = 0.999;
/// Room that does not do for the smallest order, as a fraction of it, even when prices have fallen a good way.
const FAR_TOO_LITTLE: f64 = 0.8;
/// A re-entry is no smaller than a first order, which is at most this multiple of the position (8.3).
const FIRST_OVER_SIZE: f64 = 1.25;

/// What the levels of a position are computed from, the balance apart.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// Market rules.
    pub exchange: &'a ExchangeParams,
    /// Parameters with the limit in force.
    pub params: &'a BotParams,
    /// The open position.
    pub position: Position,
    /// Hourly log-range EMA.
    pub volatility: f64,
    /// Cost that the side may still add, quote currency.
    pub room: f64,
    /// Price of the coin.
    pub market: f64,
}

impl Basis<'_> {
    fn entries(&self, balance: f64) -> EntryInputs<'_> {
        let Self { exchange, params, position, volatility, .. } = *self;
        let trailing = &TrailingBundle::NONE; // levels do not depend on it
        EntryInputs { exchange, params, trailing, balance, band_in: position.price, volatility }
    }

    fn exit<S: Side>(&self, balance: f64) -> Option<Exit> {
        let Self { exchange, params, position, .. } = *self;
        let trailing = &TrailingBundle::NONE; // levels do not depend on it
        CloseInputs { exchange, params, trailing, balance, touch_out: position.price }.exit::<S>(position)
    }

    /// Balance below which the position's enforcer might act.
    fn enforced_below(&self) -> f64 {
        let target = self.params.effective_limit() * self.params.risk_wel_enforcer_threshold;
        let Position { size, price } = self.position;
        let cost = wallet_exposure(self.exchange.c_mult, 1.0, size, price);
        if target > 0.0 { cost / target * (1.0 + EDGE_SLACK) } else { f64::INFINITY }
    }
}

/// When an order may fill.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    /// It rests here or farther from the market.
    pub price: f64,
    /// It must have fired with these distances, or larger ones.
    pub fires: Option<TrailingDistances>,
}

/// What one open position waits for.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Hourly log-range EMA that the levels were computed with.
    pub volatility: f64,
    /// Balances for which the levels hold.
    pub balances: (f64, f64),
    /// Re-entries.
    pub entry: Option<Level>,
    /// Below this market price a first order might be completed.
    pub partial_below: f64,
    /// When re-entries are too large for the side whatever their quantity.
    pub barrier: Barrier,
    /// Closes.
    pub close: Option<Level>,
    /// The position counts as stuck as far as exposure goes.
    pub may_unstick: bool,
    /// The next entry may depend on the trailing extremes.
    pub trailing_entry: bool,
    /// The next close may.
    trailing_close: bool,
}

impl Watch {
    /// Of no position.
    pub const NONE: Self = Self {
        volatility: f64::NAN,
        balances: (f64::NAN, f64::NAN),
        entry: None,
        partial_below: f64::NEG_INFINITY,
        barrier: Barrier::NONE,
        close: None,
        may_unstick: false,
        trailing_entry: true,
        trailing_close: true,
    };

    /// Still true of the position at this balance, as long as it has seen no fill and the hour is the same.
    #[inline]
    pub fn covers(&self, balance: f64) -> bool {
        self.balances.0 <= balance && balance <= self.balances.1
    }

    /// What a position waits for around a balance, or, where the ends of the range differ in kind, at that balance.
    pub fn new<S: Side>(basis: &Basis<'_>, balance: f64) -> Self {
        let margin = balance.abs() * BALANCE_RANGE;
        // the enforcer leaves positions right at its threshold: the range must not reach where it would act again
        let enforced_below = basis.enforced_below();
        let low = if enforced_below <= balance { enforced_below.max(balance - margin) } else { balance - margin };
        Self::between::<S>(basis, (low, balance + margin))
            .or_else(|| Self::between::<S>(basis, (balance, balance)))
            .unwrap_or_else(|| Self::for_anything::<S>(basis, balance))
    }

    /// Any order may rest at the touch.
    fn for_anything<S: Side>(basis: &Basis<'_>, balance: f64) -> Self {
        let at_touch = |price| Some(Level { price, fires: None });
        Self {
            volatility: basis.volatility,
            balances: (balance, balance),
            entry: at_touch(S::SIGN * f64::INFINITY),
            partial_below: f64::INFINITY,
            close: at_touch(-S::SIGN * f64::INFINITY),
            may_unstick: true,
            ..Self::NONE
        }
    }

    fn between<S: Side>(basis: &Basis<'_>, balances: (f64, f64)) -> Option<Self> {
        let Basis { params, position, exchange, .. } = *basis;
        let exposure = |balance| wallet_exposure(exchange.c_mult, balance, position.size, position.price);
        let limit = params.allowed_limit();
        let mut watch = Self {
            balances,
            may_unstick: limit <= 0.0
                || exposure(balances.0).max(exposure(balances.1)) / limit > params.unstuck_threshold,
            ..Self::NONE
        };
        (watch.watch_closes::<S>(basis) && watch.watch_entries::<S>(basis)).then_some(watch)
    }

    /// Takes the closes anew. False if the ends of the range differ in kind.
    fn watch_closes<S: Side>(&mut self, basis: &Basis<'_>) -> bool {
        let (low, high) = (basis.exit::<S>(self.balances.0), basis.exit::<S>(self.balances.1));
        self.trailing_close = [&low, &high].into_iter().flatten().any(|exit| exit.trailing.is_some());
        self.close = match (low, high) {
            (Some(a), Some(b)) => common_close::<S>(&a, &b),
            _ => None,
        };
        low.is_some() == high.is_some() && low.is_some() == self.close.is_some()
    }

    /// Takes the entries anew, as for another hour. False if the ends of the range differ in kind.
    pub fn watch_entries<S: Side>(&mut self, basis: &Basis<'_>) -> bool {
        let (at_low, at_high) = (basis.entries(self.balances.0), basis.entries(self.balances.1));
        let (low, high) = (at_low.reentry::<S>(basis.position), at_high.reentry::<S>(basis.position));
        let below = |entries: &EntryInputs<'_>| entries.partial_below::<S>(basis.position);
        self.volatility = basis.volatility;
        self.partial_below = below(&at_low).max(below(&at_high));
        self.trailing_entry = [&low, &high].into_iter().flatten().any(|entry| entry.trailing.is_some());
        (self.entry, self.barrier) = match (&low, &high) {
            (Some(a), Some(b)) => (
                common_entry::<S>(basis, a, b),
                Barrier::new(basis, self.balances.0, a).and(Barrier::new(basis, self.balances.1, b)),
            ),
            _ => (None, Barrier::NONE),
        };
        low.is_some() == high.is_some() && low.is_some() == self.entry.is_some()
    }

    /// The next orders may depend on the trailing extremes.
    #[inline]
    pub fn trails(&self) -> bool {
        self.trailing_entry || self.trailing_close
    }
}

/// The price nearer to the market for an entry.
fn nearer<S: Side>(a: f64, b: f64) -> f64 {
    if S::deeper(a, b) { b } else { a }
}

/// A re-entry at any balance between the two.
fn common_entry<S: Side>(basis: &Basis<'_>, a: &Reentry, b: &Reentry) -> Option<Level> {
    match (&a.trailing, &b.trailing) {
        (None, None) => Some(Level { price: nearer::<S>(a.level, b.level), fires: None }),
        (Some(x), Some(y)) => {
            if (x.threshold > 0.0, x.retracement > 0.0) != (y.threshold > 0.0, y.retracement > 0.0) {
                return None;
            }
            let threshold = x.threshold.min(y.threshold);
            let nearest = TrailingDistances { threshold, retracement: x.retracement.max(y.retracement) };
            let fires = TrailingDistances { threshold, retracement: x.retracement.min(y.retracement) };
            let price = nearest.level::<S>(basis.position.price, basis.exchange.price_step)?;
            Some(Level { price, fires: Some(fires) })
        }
        _ => None,
    }
}

/// A close at any balance between the two. One that rests at the touch bounds all others.
fn common_close<S: Side>(a: &Exit, b: &Exit) -> Option<Level> {
    let at_touch = -S::SIGN * f64::INFINITY;
    if a.level == at_touch || b.level == at_touch {
        let fires = a.trailing.filter(|_| b.trailing.is_some());
        return Some(Level { price: at_touch, fires });
    }
    let same_kind = a.trailing.is_some() == b.trailing.is_some();
    same_kind.then(|| Level { price: nearer::<S::Opposite>(a.level, b.level), fires: a.trailing })
}

/// Prices at which the entry gate turns every re-entry of a position away, without computing the re-entry.
///
/// The gate admits no part below the venue's minimum, which costs at least `min_cost` and `min_qty` times the price. It does
/// not examine orders below that minimum; those come from inflation alone, and only where the uninflated order would end
/// between the limit and 1.01 times it, or is the minimum itself and overshoots. Prices off the venue's step, which can make
/// such orders too, are for the caller to leave out.
#[derive(Clone, Copy, Debug)]
pub struct Barrier {
    /// Room of the side that the barrier was built for; with more of it the barrier may not hold.
    pub room: f64,
    /// The smallest order is too large at every price.
    always: bool,
    /// The smallest order is too large from this price on.
    too_large_from: f64,
    /// Below this price the re-entry ends below the limit.
    calm_below: f64,
    /// From this price on it is larger than the minimum and is cropped.
    cropped_from: f64,
}

impl Barrier {
    /// Nothing is turned away.
    const NONE: Self = Self {
        room: f64::INFINITY,
        always: false,
        too_large_from: f64::INFINITY,
        calm_below: f64::NEG_INFINITY,
        cropped_from: f64::INFINITY,
    };

    fn new(basis: &Basis<'_>, balance: f64, reentry: &Reentry) -> Self {
        let Basis { exchange: ex, params, position, .. } = *basis;
        if balance <= 0.0 || round_step(position.size, ex.qty_step) != position.size {
            return Self::NONE;
        }
        // as much room as leaves the barrier standing, so that it need not be built again for every cent
        let smallest = ex.min_cost.max(ex.min_qty * ex.c_mult * basis.market);
        let room = (basis.room + 2.0 * GATE_SLACK * balance).max(smallest * FAR_TOO_LITTLE);
        let size = position.size.abs();
        let exposure = wallet_exposure(ex.c_mult, balance, position.size, position.price);
        let price_of = |cost: f64, qty: f64| if cost > 0.0 { cost / (qty * ex.c_mult) } else { 0.0 };
        let at_least = (size * params.entry_grid_double_down_factor - ex.qty_step).max(0.0);
        let at_most = size * params.entry_grid_double_down_factor.max(FIRST_OVER_SIZE) + ex.min_qty + 2.0 * ex.qty_step;
        let at_most_cost = (params.effective_limit() * params.entry_initial_qty_pct).max(0.0) * balance + ex.min_cost;
        let above_minimum = at_least - ex.min_qty - ex.qty_step;
        let above_minimum_from = if above_minimum > 0.0 { price_of(ex.min_cost, above_minimum) } else { f64::INFINITY };
        let overshoots_from = price_of((reentry.limit * CROPPED_SURELY - exposure) * balance, at_least);
        let calm_cost = (reentry.limit * CALM_SURELY - exposure) * balance - at_most_cost;
        Self {
            room,
            always: ex.min_cost > room,
            too_large_from: price_of(room, ex.min_qty),
            calm_below: if reentry.trailing.is_none() { price_of(calm_cost, at_most) } else { f64::INFINITY },
            cropped_from: overshoots_from.max(above_minimum_from),
        }
    }

    /// What both barriers turn away, and with it every one between them: their prices rise or fall with the balance.
    fn and(self, other: Self) -> Self {
        Self {
            room: self.room.min(other.room),
            always: self.always && other.always,
            too_large_from: self.too_large_from.max(other.too_large_from),
            calm_below: self.calm_below.min(other.calm_below),
            cropped_from: self.cropped_from.max(other.cropped_from),
        }
    }

    /// Some price might be turned away.
    #[inline]
    pub fn stands(&self) -> bool {
        self.always || self.too_large_from < f64::INFINITY
    }

    /// A re-entry at this price is turned away.
    #[inline]
    pub fn turns_away(&self, price: f64) -> bool {
        (self.always | (price >= self.too_large_from)) & ((price < self.calm_below) | (price >= self.cropped_from))
    }
}
