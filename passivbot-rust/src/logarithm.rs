//! Logarithms of price ranges, whole columns at a time.
//!
//! High over low of a minute is next to 1, where the C library's logarithm (glibc from 2.28 on, after ARM's optimized
//! routines) is one polynomial without look-up or branch. The same operations in the same order give the same bits, several
//! candles at a time and without a call each. They include fused multiply-adds, so they run where the processor has such an
//! instruction; elsewhere, and farther from 1, the library is asked.

#![allow(clippy::inline_always, reason = "what is inlined is compiled for the instruction set of its caller")]

/// Coefficients of the polynomial in x - 1, from the square on.
const COEFFICIENTS: [f64; 11] = [
    -0.5,
    0.333_333_333_333_335_2,
    -0.249_999_999_999_984_32,
    0.199_999_999_993_203_28,
    -0.166_666_666_699_297_06,
    0.142_857_150_765_608_68,
    -0.124_999_978_639_825_55,
    0.111_107_120_329_360_46,
    -0.100_004_867_578_181_93,
    0.091_819_940_061_954_67,
    -0.083_283_630_622_893_42,
];
/// The library takes the polynomial from here on, up to but without the upper end.
const NEAR_ONE: (f64, f64) = (1.0 - 1.0 / 16.0, 1.0 + 265.0 / 4096.0);
/// Splits a double into two halves whose squares are exact.
const SPLIT: f64 = 134_217_728.0;

/// Logarithm of a number near one.
#[inline(always)]
#[allow(clippy::disallowed_methods, reason = "fused where the library fuses")]
fn ln_near_one(x: f64) -> f64 {
    let c = COEFFICIENTS;
    let r = x - 1.0;
    let square = r * r;
    let cube = r * square;
    let low = square.mul_add(c[3], r.mul_add(c[2], c[1]));
    let middle = square.mul_add(c[6], r.mul_add(c[5], c[4]));
    let high = cube.mul_add(c[10], square.mul_add(c[9], r.mul_add(c[8], c[7])));
    let tail = high.mul_add(cube, middle).mul_add(cube, low);
    // r - r² / 2 in two parts, by way of the leading half of r
    let leading = (-SPLIT).mul_add(r, r.mul_add(SPLIT, r));
    let rest = r - leading;
    let leading_square = leading * leading;
    let sum = leading_square.mul_add(c[0], r);
    let lost = leading_square.mul_add(c[0], r - sum);
    let lost = (c[0] * rest).mul_add(r + leading, lost);
    tail.mul_add(cube, lost) + sum
}

/// The polynomial for every candle; false if some ratio was too far from one, or no number.
#[inline(always)]
fn all_near_one(high: &[f64], low: &[f64], values: &mut [f64]) -> bool {
    let mut near = true;
    for ((high, low), value) in high.iter().zip(low).zip(values) {
        let ratio = high / low;
        *value = ln_near_one(ratio);
        near &= (*low > 0.0) & (ratio >= NEAR_ONE.0) & (ratio < NEAR_ONE.1);
    }
    near
}

/// Compiled once more for processors with wide registers and fused arithmetic. False if this is none, or a candle needs the
/// library.
#[cfg(target_arch = "x86_64")]
fn fast_log_ranges(high: &[f64], low: &[f64], values: &mut [f64]) -> bool {
    struct Work<'a>(&'a [f64], &'a [f64], &'a mut [f64]);
    impl pulp::NullaryFnOnce for Work<'_> {
        type Output = bool;
        #[inline(always)]
        fn call(self) -> bool {
            all_near_one(self.0, self.1, self.2)
        }
    }
    pulp::x86::V3::try_new().is_some_and(|processor| processor.vectorize(Work(high, low, values)))
}

/// Other processors have fused arithmetic from the start.
#[cfg(not(target_arch = "x86_64"))]
fn fast_log_ranges(high: &[f64], low: &[f64], values: &mut [f64]) -> bool {
    all_near_one(high, low, values)
}

fn log_range(high: f64, low: f64) -> f64 {
    if high > 0.0 && low > 0.0 { (high / low).ln() } else { 0.0 }
}

/// Natural logarithms of high over low, candle by candle; 0 where one of them is not positive.
///
/// All slices have the same length.
pub fn log_ranges(high: &[f64], low: &[f64], values: &mut [f64]) {
    if fast_log_ranges(high, low, values) {
        return;
    }
    for ((high, low), value) in high.iter().zip(low).zip(values) {
        *value = log_range(*high, *low);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Both functions on one column, as bits.
    fn both(high: &[f64], low: &[f64]) -> (Vec<u64>, Vec<u64>) {
        let mut values = vec![f64::NAN; high.len()];
        log_ranges(high, low, &mut values);
        let library = high.iter().zip(low).map(|(high, low)| log_range(*high, *low).to_bits());
        (values.into_iter().map(f64::to_bits).collect(), library.collect())
    }

    #[test]
    fn edges() {
        let edges = [NEAR_ONE.0, NEAR_ONE.0.next_down(), NEAR_ONE.1, NEAR_ONE.1.next_down(), 1.0, 1.0_f64.next_up()];
        for high in edges.into_iter().chain([0.0, -1.0, 2.0, f64::NAN, f64::INFINITY, 1e-300]) {
            for low in [1.0, 0.0, -1.0, f64::NAN] {
                let (values, library) = both(&[high], &[low]);
                assert_eq!(values, library, "{high} {low}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_librarys_bits(
            candles in prop::collection::vec((1e-6..1e6_f64, 0.0..1.0_f64), 0..64), scale in prop::sample::select(vec![1.0, 0.06, 1e-3, 1e-6]),
        ) {
            let low: Vec<f64> = candles.iter().map(|(low, _)| *low).collect();
            let high: Vec<f64> = candles.iter().map(|(low, range)| low * (1.0 + range * scale)).collect();
            let (values, library) = both(&high, &low);
            prop_assert_eq!(values, library);
        }
    }
}
