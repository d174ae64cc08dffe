//! Matching of the resting orders against a candle, and booking of what fills (`backtest_engine.md` 6).

use super::CoinSpec;
use super::account::Account;
use super::record::{Fill, record_fill};
use crate::num::{new_position, qty_to_cost, round_step, wallet_exposure};
use crate::side::{Long, Short, Side};
use crate::types::{ExchangeParams, FillLog, Order, PerSide, Position};

/// True if a candle trades strictly through the order.
#[inline]
pub fn fills(order: &Order, high: f64, low: f64) -> bool {
    (order.qty > 0.0 && low < order.price) || (order.qty < 0.0 && high > order.price)
}

/// Prices beyond which nothing of a coin can fill.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Highest buy price.
    pub highest_buy: f64,
    /// Lowest sell price.
    pub lowest_sell: f64,
}

impl Reach {
    /// No orders.
    pub const NONE: Self = Self { highest_buy: f64::NEG_INFINITY, lowest_sell: f64::INFINITY };

    /// Extends the reach by an order.
    #[inline]
    pub fn include(&mut self, order: &Order) {
        if order.qty > 0.0 {
            self.highest_buy = self.highest_buy.max(order.price);
        } else {
            self.lowest_sell = self.lowest_sell.min(order.price);
        }
    }

    /// Some order fills in a candle of that range.
    #[inline]
    pub fn hit(&self, high: f64, low: f64) -> bool {
        low < self.highest_buy || high > self.lowest_sell
    }
}

/// Realised profit of all coins and sides, gross of fees.
#[derive(Clone, Copy, Debug, Default)]
pub struct Realised {
    /// Sum so far.
    pub sum: f64,
    /// Highest sum so far, at least 0.
    pub max: f64,
}

impl Realised {
    /// Adds the profit of a close.
    fn add(&mut self, pnl: f64) {
        self.sum += pnl;
        self.max = self.max.max(self.sum);
    }
}

/// Positions of both sides with the coins that are open, ascending.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    /// By coin; (0, 0) when flat.
    pub held: PerSide<Vec<Position>>,
    /// Coins with an open position, ascending.
    pub open: PerSide<Vec<usize>>,
    /// What positions cost, quote currency, by coin.
    pub costs: PerSide<Vec<f64>>,
}

impl Positions {
    /// All flat.
    pub fn new(n: usize) -> Self {
        Self {
            held: PerSide::from_fn(|_| vec![Position::default(); n]),
            open: PerSide::from_fn(|_| Vec::with_capacity(n)),
            costs: PerSide::from_fn(|_| vec![0.0; n]),
        }
    }

    fn set<S: Side>(&mut self, coin: usize, position: Position, c_mult: f64) {
        S::of_mut(&mut self.held)[coin] = position;
        S::of_mut(&mut self.costs)[coin] = qty_to_cost(position.size, position.price, c_mult);
        let open = S::of_mut(&mut self.open);
        match (open.binary_search(&coin), position.is_open()) {
            (Err(at), true) => open.insert(at, coin),
            (Ok(at), false) => drop(open.remove(at)),
            _ => {}
        }
    }

    /// Exposures of one side, positive, coins ascending.
    #[inline]
    pub fn exposures<S: Side>(&self, balance: f64) -> impl Iterator<Item = f64> {
        let costs = S::of(&self.costs);
        S::of(&self.open).iter().map(move |&coin| if balance <= 0.0 { 0.0 } else { costs[coin] / balance })
    }

    /// Exposure of both sides; the short one accumulates by subtraction and is negative.
    pub fn exposure(&self, balance: f64) -> PerSide<f64> {
        PerSide {
            long: self.exposures::<Long>(balance).fold(0.0, |sum, e| sum + e),
            short: self.exposures::<Short>(balance).fold(0.0, |sum, e| sum - e),
        }
    }
}

/// What a fill changes.
#[derive(Debug)]
pub struct Books<'a> {
    /// All coins.
    pub coins: &'a [CoinSpec],
    /// Wallets.
    pub account: &'a mut Account,
    /// Positions.
    pub positions: &'a mut Positions,
    /// Realised profit so far.
    pub realised: &'a mut Realised,
    /// Record of fills.
    pub log: &'a mut FillLog,
    /// Row being matched.
    pub row: usize,
    /// BTC price of the row.
    pub btc_price: f64,
    /// Net exposure after the last fill.
    pub twe_net: f64,
}

impl Books<'_> {
    fn fee(&self, coin: usize, qty: f64, price: f64) -> f64 {
        let spec = &self.coins[coin];
        -(qty_to_cost(qty, price, spec.exchange.c_mult) * spec.maker_fee)
    }

    /// Matches the orders of one coin and side: closes, then entries. True if anything was booked.
    pub fn match_orders<S: Side>(
        &mut self,
        coin: usize,
        closes: &[Order],
        entries: &[Order],
        range: (f64, f64),
    ) -> bool {
        let (high, low) = range;
        let mut booked = false;
        for order in closes.iter().filter(|o| fills(o, high, low)) {
            if S::of(&self.positions.held)[coin].is_open() {
                self.book_close::<S>(coin, order);
                booked = true;
            }
        }
        for order in entries.iter().filter(|o| fills(o, high, low)) {
            self.book_entry::<S>(coin, order);
            booked = true;
        }
        booked
    }

    fn book_entry<S: Side>(&mut self, coin: usize, order: &Order) {
        let fee = self.fee(coin, order.qty, order.price);
        self.account.book(0.0, fee, self.btc_price);
        let ExchangeParams { qty_step, c_mult, .. } = self.coins[coin].exchange;
        let Position { size, price } = S::of(&self.positions.held)[coin];
        let (size, price) = new_position(size, price, order.qty, order.price, qty_step);
        let position = Position { size, price };
        self.positions.set::<S>(coin, position, c_mult);
        self.record(coin, *order, 0.0, fee, position);
    }

    fn book_close<S: Side>(&mut self, coin: usize, order: &Order) {
        let ExchangeParams { qty_step, c_mult, .. } = self.coins[coin].exchange;
        let held = S::of(&self.positions.held)[coin];
        let mut order = *order;
        let mut size = round_step(held.size + order.qty, qty_step);
        if S::SIGN * size < 0.0 {
            size = 0.0;
            order.qty = -held.size;
        }
        let fee = self.fee(coin, order.qty, order.price);
        let pnl = S::pnl(held.price, order.price, order.qty, c_mult);
        self.realised.add(pnl);
        self.account.book(pnl, fee, self.btc_price);
        let left = if size == 0.0 { Position::default() } else { Position { size, ..held } };
        self.positions.set::<S>(coin, left, c_mult);
        self.record(coin, order, pnl, fee, Position { size, price: held.price });
    }

    fn record(&mut self, coin: usize, order: Order, pnl: f64, fee: f64, position: Position) {
        let balance = self.account.usd_total;
        let c_mult = self.coins[coin].exchange.c_mult;
        let exposure = wallet_exposure(c_mult, balance, position.size.abs(), position.price);
        let twe = self.positions.exposure(balance);
        self.twe_net = twe.long + twe.short;
        let fill = Fill {
            row: self.row,
            coin,
            order,
            pnl,
            fee,
            btc_price: self.btc_price,
            position,
            wallet_exposure: if position.size == 0.0 { 0.0 } else { exposure * position.size.signum() },
            twe,
        };
        record_fill(self.log, self.account, &fill);
    }
}
