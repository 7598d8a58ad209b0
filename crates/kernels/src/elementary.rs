//! Functions of one number without a branch, so that loops of them fill vector
//! registers.

// ln 2 in two parts, the first with few bits (Cody and Waite, 1980).
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `eˣ` within 2 ulp; beyond ±87 as there.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it leaves the nearest integer in the low bits of a float.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 87.0);
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let r = x - power * LN_2_HIGH - power * LN_2_LOW;
    // Coefficients of Cephes' expf.
    let mut poly = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        poly = poly * r + coefficient;
    }
    let two_to_power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    (poly * r * r + r + 1.0) * two_to_power
}

/// `ln x` within 2 ulp, of a positive normal number; anything else gives a number
/// that means nothing.
#[inline(always)]
pub fn ln(x: f32) -> f32 {
    // x = m · 2^power, m from √½ to √2.
    let shifted = x
        .to_bits()
        .wrapping_sub(std::f32::consts::FRAC_1_SQRT_2.to_bits());
    let power = (shifted as i32) >> 23;
    let m = f32::from_bits(x.to_bits().wrapping_sub((power as u32) << 23));
    let power = power as f32;
    let z = m - 1.0;
    // Coefficients of Cephes' logf.
    let mut poly = 7.037_683_6e-2;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        poly = poly * z + coefficient;
    }
    let tail = poly * z * z * z + power * LN_2_LOW - 0.5 * z * z;
    tail + z + power * LN_2_HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=10_000).map(move |i| from + (to - from) * i as f32 / 10_000.0)
    }

    #[test]
    fn exp_is_that_of_the_library() {
        for x in range(-87.0, 87.0) {
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found / expected - 1.0).abs() < 3e-7,
                "{x}: {found} {expected}"
            );
        }
        assert_eq!(exp(f32::NEG_INFINITY), exp(-87.0));
        assert!(exp(f32::INFINITY).is_finite());
    }

    #[test]
    fn ln_is_that_of_the_library() {
        for x in range(-87.0, 87.0).map(exp).chain(range(0.5, 2.0)) {
            let (found, expected) = (f64::from(ln(x)), f64::from(x).ln());
            let error = (found - expected).abs();
            assert!(
                error <= 2.4e-7 * expected.abs() + 6e-8,
                "{x}: {found} {expected}"
            );
        }
    }
}
