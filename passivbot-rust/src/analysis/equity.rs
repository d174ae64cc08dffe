//! Passes over the equity of every minute (`backtest_engine.md` 15.4).
//!
//! Drawdown, recovery and daily lows of the run and of its nine tails all rest on one pass that takes the extremes of
//! short blocks: a block that stays below the peak needs no second look. Results are those of the plain walk.

use super::daily::{Daily, first_peak};
use super::stats::TINY;

/// Minutes of a day.
pub const DAY: usize = 1440;
/// Minutes of a block; divides a day.
const BLOCK: usize = 32;
/// Independent running extremes, so that the compiler can compare several values at once.
const LANES: usize = 8;
/// Keeps a bound on a drawdown above what rounding may add to the drawdown itself.
const ROUNDING_ROOM: f64 = 0.999_999;

/// Highest and lowest value; NaN is passed over.
#[derive(Clone, Copy)]
struct Extremes {
    max: f64,
    min: f64,
}

impl Extremes {
    const NONE: Self = Self { max: f64::NEG_INFINITY, min: f64::INFINITY };

    fn with(self, other: Self) -> Self {
        Self { max: larger(other.max, self.max), min: smaller(other.min, self.min) }
    }

    fn of(values: &[f64]) -> Self {
        let (mut max, mut min) = ([f64::NEG_INFINITY; LANES], [f64::INFINITY; LANES]);
        let chunks = values.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for lane in 0..LANES {
                max[lane] = larger(chunk[lane], max[lane]);
                min[lane] = smaller(chunk[lane], min[lane]);
            }
        }
        let lanes = max.into_iter().zip(min).map(|(max, min)| Self { max, min });
        let rest = rest.iter().map(|&v| Self { max: v, min: v });
        lanes.chain(rest).fold(Self::NONE, Self::with)
    }
}

/// `v` if it is larger than `bound`: one instruction, and NaN is never larger.
#[inline]
fn larger(v: f64, bound: f64) -> f64 {
    if v > bound { v } else { bound }
}

#[inline]
fn smaller(v: f64, bound: f64) -> f64 {
    if v < bound { v } else { bound }
}

/// Equity of the tracked rows with the extremes of its blocks.
pub struct Equity<'a> {
    values: &'a [f64],
    blocks: Vec<Extremes>,
}

impl<'a> Equity<'a> {
    /// Takes the extremes of all blocks.
    pub fn new(values: &'a [f64]) -> Self {
        Self { values, blocks: values.chunks(BLOCK).map(Extremes::of).collect() }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Daily series of the tail from `start`; its days begin there.
    pub fn daily(&self, start: usize) -> Daily {
        let ends = (start..self.len()).step_by(DAY).map(|from| (from, (from + DAY).min(self.len())));
        let (last, min) = ends.map(|(from, to)| (self.values[to - 1], self.lowest(from, to))).unzip();
        Daily { last, min }
    }

    /// Lowest value of a range: of its whole blocks, and of what lies before and after them.
    fn lowest(&self, from: usize, to: usize) -> f64 {
        let (first, end) = (from.div_ceil(BLOCK), to / BLOCK);
        if first >= end {
            return Extremes::of(&self.values[from..to]).min;
        }
        let head = Extremes::of(&self.values[from..first * BLOCK]).min;
        let tail = Extremes::of(&self.values[end * BLOCK..to]).min;
        self.blocks[first..end].iter().fold(smaller(tail, head), |low, block| smaller(block.min, low))
    }

    /// Largest fall below the running peak of the tail from `start`, as a fraction of the peak; 0 or more.
    pub fn worst_drawdown(&self, start: usize) -> f64 {
        let Some(&first) = self.values.get(start) else { return 0.0 };
        let mut walk = Drawdown { peak: first_peak(first), worst: 0.0 };
        let whole = start.div_ceil(BLOCK);
        walk.minutes(&self.values[start..(whole * BLOCK).min(self.len())]);
        for (block, minutes) in self.blocks.iter().zip(self.values.chunks(BLOCK)).skip(whole) {
            walk.block(*block, minutes);
        }
        walk.worst
    }

    /// Longest time in minutes from one high to the next that equals or exceeds it; an open fall at the end is not
    /// counted.
    pub fn peak_recovery(&self) -> usize {
        let (mut peak, mut peak_at, mut longest) = (f64::NEG_INFINITY, 0, 0);
        for (at, (block, minutes)) in self.blocks.iter().zip(self.values.chunks(BLOCK)).enumerate() {
            if block.max < peak {
                continue;
            }
            for (i, &v) in minutes.iter().enumerate().map(|(i, v)| (at * BLOCK + i, v)) {
                if v >= peak {
                    longest = longest.max(i - peak_at);
                    (peak, peak_at) = (v, i);
                }
            }
        }
        longest
    }

    /// Distances of equity from the balance after the latest fill; before the first fill, from the balance after that.
    pub fn balance_differences(&self, fill_index: &[u32], balance: &[f64]) -> Differences {
        let mut differences = Differences::default();
        let mut from = 0;
        for (j, &b) in balance.iter().enumerate() {
            let to = fill_index.get(j + 1).map_or(self.len(), |&row| self.len().min(row as usize));
            if from < to {
                differences.add(&self.values[from..to], b);
                from = to;
            }
        }
        differences
    }
}

/// Running peak and worst fall below it.
struct Drawdown {
    peak: f64,
    worst: f64,
}

impl Drawdown {
    fn minutes(&mut self, values: &[f64]) {
        for &v in values {
            if v > self.peak {
                self.peak = v.max(TINY);
            }
            self.fall_to(v);
        }
    }

    fn fall_to(&mut self, v: f64) {
        self.worst = larger((self.peak - v) / self.peak.abs().max(TINY), self.worst);
    }

    /// The same for a block of known extremes: below the peak its minimum decides, and a block narrower than the worst
    /// fall so far cannot hold a worse one.
    fn block(&mut self, block: Extremes, values: &[f64]) {
        if block.max <= self.peak {
            self.fall_to(block.min);
        } else if block.max > self.peak
            && block.min > TINY
            && block.max - block.min < self.worst * block.max * ROUNDING_ROOM
        {
            self.peak = block.max;
        } else {
            self.minutes(values);
        }
    }
}

/// Relative distances of equity from balance.
#[derive(Default)]
pub struct Differences {
    /// Equity above balance.
    pub above: Excess,
    /// Equity below balance, as positive numbers.
    pub below: Excess,
}

impl Differences {
    fn add(&mut self, equity: &[f64], balance: f64) {
        let (mut above, mut below) = (self.above, self.below);
        for &e in equity {
            let x = (e - balance) / balance;
            above.add(x);
            below.add(-x);
        }
        (self.above, self.below) = (above, below);
    }
}

/// Sum, number and maximum of the positive values.
#[derive(Clone, Copy, Default)]
pub struct Excess {
    sum: f64,
    count: u64,
    /// Largest value, 0 without any.
    pub max: f64,
}

impl Excess {
    /// Without a branch: equity crosses the balance too often to guess. Adding 0 changes no sum.
    #[inline]
    fn add(&mut self, x: f64) {
        let positive = larger(x, 0.0);
        self.sum += positive;
        self.count += u64::from(x > 0.0);
        self.max = larger(positive, self.max);
    }

    /// Mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum / self.count as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_the_time_between_two_highs() {
        assert_eq!(Equity::new(&[1.0, 2.0, 1.0, 1.0, 2.0, 3.0, 1.0]).peak_recovery(), 3);
        assert_eq!(Equity::new(&[0.0, 0.0, 0.0, 5.0, 4.0, 5.0, 4.0]).peak_recovery(), 2);
        let slump: Vec<f64> = (0..200).map(|i| if i == 3 || i == 190 { 2.0 } else { 1.0 }).collect();
        assert_eq!(Equity::new(&slump).peak_recovery(), 187);
    }

    #[test]
    fn drawdown_starts_at_the_tail() {
        let values = [100.0, 110.0, 99.0, 121.0, 60.5];
        assert_eq!(Equity::new(&values).worst_drawdown(0), 0.5);
        let fall: Vec<f64> = (0..100).map(|i| 200.0 - f64::from(i)).collect();
        assert_eq!(Equity::new(&fall).worst_drawdown(0), 99.0 / 200.0);
        assert_eq!(Equity::new(&fall).worst_drawdown(50), 49.0 / 150.0);
        assert_eq!(Equity::new(&fall).worst_drawdown(100), 0.0);
    }

    #[test]
    fn days_begin_with_the_tail() {
        let values: Vec<f64> = (0..4000).map(f64::from).collect();
        let daily = Equity::new(&values).daily(100);
        assert_eq!(daily.last, [1539.0, 2979.0, 3999.0]);
        assert_eq!(daily.min, [100.0, 1540.0, 2980.0]);
    }
}
