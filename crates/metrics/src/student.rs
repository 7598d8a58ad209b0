//! Student's t, for means of few values.

use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// Halvings of the interval in which a quantile is looked for: as many as f64 tells
/// apart.
const HALVINGS: u32 = 64;

/// How many standard errors a mean of `freedom + 1` values may be off, with confidence
/// `level`: the `t` for which `P(|T| ≤ t) = level`. `None` without a degree of freedom,
/// or a level between 0 and 1.
///
/// Exact for whole degrees of freedom (Abramowitz and Stegun, 1964, 26.7.3 and 26.7.4);
/// takes as many steps as there are of these.
///
/// ```
/// use mmdlrm_metrics::student_t;
///
/// // Of five seeds.
/// assert!((student_t(0.95, 4).unwrap() - 2.776_445).abs() < 1e-6);
/// // Nearly the normal distribution's 1.96.
/// assert!((student_t(0.95, 10_000).unwrap() - 1.960_2).abs() < 1e-4);
/// assert_eq!(student_t(0.95, 0), None);
/// ```
pub fn student_t(level: f64, freedom: u32) -> Option<f64> {
    if freedom == 0 || !(level > 0.0 && level < 1.0) {
        return None;
    }
    // By the angle whose tangent is t/√freedom, which has bounds.
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if within(middle, freedom) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(((low + high) / 2.0).tan() * f64::from(freedom).sqrt())
}

/// `P(|T| ≤ t)` at the angle whose tangent is `t/√freedom`.
fn within(angle: f64, freedom: u32) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let square = cosine * cosine;
    let is_odd = freedom % 2 == 1;
    // cos θ + 2/3·cos³θ + 2·4/(3·5)·cos⁵θ + … to cos^(freedom − 2), or
    // 1 + 1/2·cos²θ + 1·3/(2·4)·cos⁴θ + … likewise.
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut power = u32::from(is_odd);
    let mut sum = 0.0;
    while power + 2 <= freedom {
        sum += term;
        power += 2;
        term *= square * f64::from(power - 1) / f64::from(power);
    }
    if is_odd {
        FRAC_2_PI * (angle + sine * sum)
    } else {
        sine * sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_student_s_t_equal_scipy_s() {
        // scipy.stats.t.ppf((1 + level) / 2, freedom)
        for (level, freedom, expected) in [
            (0.95, 1, 12.706_204_736_174_694),
            (0.95, 2, 4.302_652_729_749_462),
            (0.95, 3, 3.182_446_305_283_708),
            (0.95, 4, 2.776_445_105_197_793),
            (0.95, 10, 2.228_138_851_986_274),
            (0.95, 11, 2.200_985_160_091_639),
            (0.95, 12, 2.178_812_829_667_228),
            (0.95, 29, 2.045_229_642_132_703),
            (0.95, 30, 2.042_272_456_301_238),
            (0.95, 99, 1.984_216_951_586_417),
            (0.95, 999, 1.962_341_461_133_449),
            (0.95, 9999, 1.960_201_263_621_357),
            (0.9, 19, 1.729_132_811_521_368),
            (0.99, 1, 63.656_741_162_871_526),
            (0.99, 20, 2.845_339_709_786_108),
        ] {
            let found = student_t(level, freedom).unwrap();
            assert!(
                (found / expected - 1.0).abs() < 1e-11,
                "{level} {freedom}: {found} {expected}"
            );
        }
    }

    #[test]
    fn no_freedom_and_no_level_have_no_quantile() {
        assert_eq!(student_t(0.95, 0), None);
        for level in [0.0, 1.0, -0.5, 2.0, f64::NAN] {
            assert_eq!(student_t(level, 5), None);
        }
    }
}
