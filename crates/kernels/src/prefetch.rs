/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache lines of `values`, which will be read soon; does nothing
/// where the machine has no such instruction.
///
/// Rows of a table lie anywhere, so that the hardware does not see the next one
/// coming.
#[inline(always)]
pub fn prefetch<T>(values: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..std::mem::size_of_val(values)).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let address = values.as_ptr().cast::<i8>().wrapping_add(offset);
        // SAFETY: a hint, which reads nothing and never faults; SSE is part of
        // every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, LINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For Miri, which sees any access that is not allowed.
    #[test]
    fn nothing_is_read_or_written_whatever_the_length() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<f32> = (0..length).map(|x| x as f32).collect();
            prefetch(&values[length / 2..]);
            prefetch(&values);
            assert!((0..length).all(|x| values[x] == x as f32));
        }
    }
}
