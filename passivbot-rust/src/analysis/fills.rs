//! Metrics of the fills alone (`backtest_engine.md` 15.2, 15.4).

use std::borrow::Cow;

use super::equity::DAY;
use super::stats::{TINY, mean, ratio_or_infinity};
use crate::types::{FillLog, Pside};

/// Number of each fill's position: two for a coin.
pub fn slots(log: &FillLog) -> Vec<u32> {
    let coins = log.coin.iter().zip(&log.order_type);
    coins.map(|(coin, kind)| 2 * coin + u32::from(kind.pside() == Pside::Short)).collect()
}

/// The columns that metrics read, in one currency.
pub struct FillColumns<'a> {
    index: &'a [u32],
    slot: &'a [u32],
    psize: &'a [f64],
    pnl: Cow<'a, [f64]>,
    balance: Cow<'a, [f64]>,
    net: Vec<f64>,
    volume: Vec<f64>,
}

impl<'a> FillColumns<'a> {
    /// Columns as they are booked; `slot` from `slots`.
    pub fn in_usd(log: &'a FillLog, slot: &'a [u32]) -> Self {
        let fees = log.fee_paid.iter().copied();
        let columns = (Cow::from(&log.pnl), Cow::from(&log.usd_total_balance));
        Self::new((log, slot), columns, fees, log.price.iter().copied())
    }

    /// Money divided by the BTC price of the fill (15.6).
    pub fn in_btc(log: &'a FillLog, slot: &'a [u32]) -> Self {
        let rate: Vec<f64> = log.btc_price.iter().map(|&p| if p > 0.0 { p } else { 1.0 }).collect();
        let convert = |usd: &'a [f64]| usd.iter().zip(&rate).map(|(v, rate)| v / rate);
        let columns = (convert(&log.pnl).collect(), convert(&log.usd_total_balance).collect());
        Self::new((log, slot), columns, convert(&log.fee_paid), convert(&log.price))
    }

    fn new(
        (log, slot): (&'a FillLog, &'a [u32]),
        (pnl, balance): (Cow<'a, [f64]>, Cow<'a, [f64]>),
        fees: impl Iterator<Item = f64>,
        prices: impl Iterator<Item = f64>,
    ) -> Self {
        let net = pnl.iter().zip(fees).map(|(pnl, fee)| pnl + fee).collect();
        let sizes = log.qty.iter().zip(prices);
        let volume = sizes.zip(balance.iter()).map(|((qty, price), b)| qty.abs() * price / b).collect();
        Self { index: &log.index, slot, psize: &log.psize, pnl, balance, net, volume }
    }

    /// Number of fills.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// All fills.
    pub fn all(&self) -> Fills<'_> {
        Fills {
            index: self.index,
            slot: self.slot,
            psize: self.psize,
            pnl: &self.pnl,
            balance: &self.balance,
            net: &self.net,
            volume: &self.volume,
        }
    }
}

/// Consecutive fills of one run.
#[derive(Clone, Copy)]
pub struct Fills<'a> {
    /// Row of the dataset.
    pub index: &'a [u32],
    slot: &'a [u32],
    psize: &'a [f64],
    pnl: &'a [f64],
    /// Account total after the fill.
    pub balance: &'a [f64],
    net: &'a [f64],
    volume: &'a [f64],
}

impl Fills<'_> {
    /// Number of fills.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// The fills from a row on.
    pub fn starting_at(self, row: usize) -> Self {
        let from = self.index.partition_point(|i| (*i as usize) < row);
        Self {
            index: &self.index[from..],
            slot: &self.slot[from..],
            psize: &self.psize[from..],
            pnl: &self.pnl[from..],
            balance: &self.balance[from..],
            net: &self.net[from..],
            volume: &self.volume[from..],
        }
    }

    /// Ranges of the fills of each day that has any; days count from row 0.
    fn days(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let same_day = |a: &u32, b: &u32| *a as usize / DAY == *b as usize / DAY;
        self.index.chunk_by(same_day).scan(0, |from, day| {
            let range = *from..*from + day.len();
            *from = range.end;
            Some(range)
        })
    }

    /// Net realised profit of each day with fills over the balance at its end; days with a non-finite part left out.
    pub fn daily_returns(&self) -> Vec<f64> {
        let days = self.days().map(|day| (self.net[day.clone()].iter().sum::<f64>(), self.balance[day.end - 1]));
        let finite = days.filter(|(sum, balance)| sum.is_finite() && balance.is_finite());
        finite.map(|(sum, balance)| sum / balance.abs().max(TINY)).collect()
    }

    /// Traded value over balance, summed by day, mean over days with fills.
    pub fn volume_per_day(&self) -> f64 {
        let days: Vec<f64> = self.days().map(|day| self.volume[day].iter().sum()).collect();
        mean(&days)
    }

    /// Realised losses over realised profits.
    pub fn loss_profit_ratio(&self) -> f64 {
        let (mut losses, mut profits) = (0.0, 0.0);
        for &pnl in self.pnl {
            if pnl > 0.0 {
                profits += pnl;
            } else {
                losses += pnl.abs();
            }
        }
        ratio_or_infinity(losses, profits)
    }

    /// How long positions were held and how long they stayed as they were; open ones end with the last fill.
    pub fn holding(&self) -> Holding {
        let mut holding = Holding { minutes: Vec::new(), unchanged_max: 0.0 };
        let Some(end) = self.index.last().map(|row| f64::from(*row)) else { return holding };
        let slots = self.slot.iter().max().map_or(0, |slot| *slot as usize + 1);
        let mut open: Vec<Option<Held>> = vec![None; slots];
        for ((&row, &slot), &psize) in self.index.iter().zip(self.slot).zip(self.psize) {
            let row = f64::from(row);
            let position = &mut open[slot as usize];
            let held = position.get_or_insert(Held { opened: row, changed: row });
            holding.unchanged_max = holding.unchanged_max.max(row - held.changed);
            held.changed = row;
            if psize == 0.0 {
                holding.minutes.push(row - held.opened);
                *position = None;
            }
        }
        for held in open.into_iter().flatten() {
            holding.minutes.push(end - held.opened);
            holding.unchanged_max = holding.unchanged_max.max(end - held.changed);
        }
        holding
    }

    /// Longest time in minutes between two highs of the net realised profit over rows `0..rows` (`Equity::peak_recovery`
    /// of its running sum, which moves at fills only).
    pub fn peak_recovery(&self, rows: usize) -> usize {
        let (mut peak, mut peak_at, mut longest, mut total) = (f64::NEG_INFINITY, 0, 0, 0.0);
        let mut fills = self.index.iter().map(|i| *i as usize).zip(self.net).peekable();
        let mut row = 0;
        while row < rows {
            while let Some((_, net)) = fills.next_if(|(index, _)| *index <= row) {
                total += net;
            }
            let next = fills.peek().map_or(rows, |(index, _)| rows.min(*index));
            if total >= peak {
                longest = longest.max(row - peak_at).max((next - 1 - row).min(1));
                (peak, peak_at) = (total, next - 1);
            }
            row = next;
        }
        longest
    }
}

/// An open position: row of its first fill and of its latest.
#[derive(Clone, Copy)]
struct Held {
    opened: f64,
    changed: f64,
}

/// See `Fills::holding`.
pub struct Holding {
    /// Minutes from opening to closing, by position.
    pub minutes: Vec<f64>,
    /// Longest time between two fills of one position, minutes.
    pub unchanged_max: f64,
}
