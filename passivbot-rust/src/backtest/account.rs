//! The simulated wallet: USD and BTC, collateral top-ups, the balance that sizes orders (`backtest_engine.md` 7).

use crate::num::{EPS, hysteresis};

/// Part of a BTC purchase that the conversion costs.
const CONVERSION_FEE: f64 = 0.001;
/// Move of the raw balance that the sizing balance ignores.
const BALANCE_HYSTERESIS: f64 = 0.02;
/// Tolerance of the collateral ratio and the loan-to-value ratio.
const RATIO_TOLERANCE: f64 = 1e-12;

/// How profits are kept in BTC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Collateral {
    /// Target share of equity in BTC; 0 switches collateral off, above 1 borrows USD.
    pub cap: f64,
    /// Debt over equity above which no more BTC is bought.
    pub ltv_cap: Option<f64>,
}

/// Wallets and what they are worth.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// USD wallet; negative is debt.
    pub usd: f64,
    /// BTC wallet.
    pub btc: f64,
    /// Both wallets in USD, without unrealised profit.
    pub usd_total: f64,
    /// Both wallets in BTC; without collateral as of the last fill.
    pub btc_total: f64,
    /// The balance behind a hysteresis, from which orders are sized.
    pub sizing: f64,
    collateral: Collateral,
}

impl Account {
    /// Starts with `balance` USD, part of which buys BTC at `btc_price` without a fee.
    pub fn new(balance: f64, collateral: Collateral, btc_price: f64) -> Self {
        let cap = collateral.cap.max(0.0);
        let ltv_cap = collateral.ltv_cap.filter(|cap| cap.is_finite() && *cap > 0.0);
        let price = btc_price.max(EPS);
        let (btc, usd) = if cap > 0.0 {
            let value = cap * balance;
            (value / price, balance - value)
        } else {
            (0.0, balance)
        };
        let usd_total = btc * price + usd;
        Self {
            usd,
            btc,
            usd_total,
            btc_total: usd_total / price,
            sizing: usd_total,
            collateral: Collateral { cap, ltv_cap },
        }
    }

    /// True if part of the equity is kept in BTC.
    #[inline]
    pub fn holds_btc(&self) -> bool {
        self.collateral.cap > 0.0
    }

    /// Books a fill: fee first, then profit, then the top-up of the collateral.
    pub fn book(&mut self, pnl: f64, fee: f64, btc_price: f64) {
        self.usd += fee;
        self.usd += pnl;
        let price = btc_price.max(EPS);
        if self.holds_btc() {
            self.top_up(price);
            self.value_at(price);
        } else {
            self.usd_total = self.usd;
            self.sizing = self.usd;
            self.btc_total = self.usd / price;
        }
    }

    /// Values both wallets at a new BTC price.
    #[inline]
    pub fn value_at(&mut self, btc_price: f64) {
        self.usd_total = self.btc * btc_price + self.usd;
        self.btc_total = self.usd_total / btc_price;
        self.sizing = hysteresis(self.usd_total, self.sizing, BALANCE_HYSTERESIS);
    }

    /// Buys BTC up to the target share, as far as the loan-to-value ratio allows. BTC is never sold.
    fn top_up(&mut self, price: f64) {
        let value = self.btc * price;
        let equity = value + self.usd;
        if equity <= 0.0 || equity.is_nan() {
            self.btc = 0.0;
            return;
        }
        let Collateral { cap, ltv_cap } = self.collateral;
        let ratio = value / equity;
        let debt = if self.usd < 0.0 { -self.usd } else { 0.0 };
        let may_borrow = ltv_cap.is_none_or(|limit| debt / equity + RATIO_TOLERANCE < limit);
        if ratio + RATIO_TOLERANCE >= cap || !may_borrow {
            return;
        }
        let mut spend = (cap - ratio) * equity;
        if let Some(limit) = ltv_cap {
            spend = spend.min((limit * equity - debt).max(0.0));
        }
        if spend > 0.0 {
            self.usd -= spend;
            self.btc += (spend * (1.0 - CONVERSION_FEE)) / price;
        }
    }
}
