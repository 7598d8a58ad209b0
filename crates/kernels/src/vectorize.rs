use pulp::{Simd, WithSimd};

use crate::instructions::dispatch;

/// Runs `work` compiled for the [instructions](crate::InstructionSet) in use. It must
/// be `#[inline(always)]`, and so must what it calls.
///
/// ```
/// use mmdlrm_kernels::vectorize;
///
/// let (mut out, x) = ([1.0; 100], [2.0; 100]);
/// vectorize(
///     #[inline(always)]
///     || out.iter_mut().zip(&x).for_each(|(out, x)| *out += 0.5 * x),
/// );
/// assert_eq!(out, [2.0; 100]);
/// ```
pub fn vectorize<R>(work: impl FnMut() -> R) -> R {
    // Of its own, and `FnMut`: through pulp's own adapter for closures the body
    // is called, not inlined, and so compiled for the least machine.
    struct Work<F>(F);
    impl<R, F: FnMut() -> R> WithSimd for Work<F> {
        type Output = R;

        #[inline(always)]
        fn with_simd<S: Simd>(mut self, _: S) -> R {
            (self.0)()
        }
    }
    dispatch(Work(work))
}
