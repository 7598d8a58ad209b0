//! Whole numbers in files whose numbers are `f32`.

/// From here on not every whole number is an `f32`.
pub(crate) const LIMIT: usize = 1 << 24;

/// Numbers that are whole, from 0 to below a bound, which is [`LIMIT`] at most; `None` where any is
/// not.
pub(crate) fn whole(numbers: &[f32], bound: usize) -> Option<Vec<u32>> {
    let bound = bound.min(LIMIT) as f32;
    let number = |&x: &f32| (x >= 0.0 && x.fract() == 0.0 && x < bound).then_some(x as u32);
    numbers.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_number_below_the_bound_is_refused() {
        assert_eq!(whole(&[0.0, -0.0, 6.0], 7), Some(vec![0, 0, 6]));
        assert_eq!(whole(&[], 0), Some(Vec::new()));
        for x in [7.0, 0.5, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!(whole(&[1.0, x], 7), None, "{x}");
        }
        let last = (LIMIT - 1) as f32;
        assert_eq!(whole(&[last], usize::MAX), Some(vec![last as u32]));
        assert_eq!(whole(&[LIMIT as f32], usize::MAX), None);
    }
}
