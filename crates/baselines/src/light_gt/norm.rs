//! The norm of a layer (Ba et al., 2016).

use super::lanes::{Lanes, sum_lanes, total};

/// What keeps a row of equal numbers from a division by 0, `ε` of the norm.
const EPSILON: f32 = 1e-5;

/// The norm of a layer: `x̂ = (y − mean)/√(variance + ε)` of each row of `y`, `[rows, D]`, and
/// `1/√…`, `[rows]`; `out = scale·x̂ + shift`.
#[inline(always)]
pub(super) fn norm(
    y: &[f32],
    (scale, shift): (&[f32], &[f32]),
    (normal, factors): (&mut [f32], &mut [f32]),
    out: &mut [f32],
    lanes: &mut [Lanes],
) {
    let dim = scale.len();
    let share = 1.0 / dim as f32;
    for (y, sums) in y.chunks_exact(dim).zip(&mut *lanes) {
        *sums = sum_lanes(
            y,
            y,
            #[inline(always)]
            |x, _| x,
        );
    }
    let rows = y.chunks_exact(dim).zip(normal.chunks_exact_mut(dim));
    for ((y, normal), sums) in rows.zip(&mut *lanes) {
        let mean = total(sums) * share;
        normal.iter_mut().zip(y).for_each(|(x, y)| *x = y - mean);
        *sums = sum_lanes(
            normal,
            normal,
            #[inline(always)]
            |x, y| x * y,
        );
    }
    for (factor, sums) in factors.iter_mut().zip(&*lanes) {
        *factor = (total(sums) * share + EPSILON).sqrt().recip();
    }
    let rows = normal.chunks_exact_mut(dim).zip(out.chunks_exact_mut(dim));
    for ((normal, out), factor) in rows.zip(&*factors) {
        for (((x, scale), shift), out) in normal.iter_mut().zip(scale).zip(shift).zip(out) {
            *x *= factor;
            *out = scale * *x + shift;
        }
    }
}

/// Gradients of `out` become those of `y`; those of `scale` and `shift` are added to theirs.
#[inline(always)]
pub(super) fn norm_back(
    gradients: &mut [f32],
    (normal, factors): (&[f32], &[f32]),
    scale: &[f32],
    (of_scale, of_shift): (&mut [f32], &mut [f32]),
    lanes: &mut [[Lanes; 2]],
) {
    let dim = scale.len();
    let share = 1.0 / dim as f32;
    let rows = gradients
        .chunks_exact_mut(dim)
        .zip(normal.chunks_exact(dim));
    for ((row, normal), sums) in rows.zip(&mut *lanes) {
        let own = of_scale.iter_mut().zip(of_shift.iter_mut());
        let columns = row.iter_mut().zip(normal).zip(scale);
        for (((x, normal), scale), (of_scale, of_shift)) in columns.zip(own) {
            *of_scale += *x * normal;
            *of_shift += *x;
            *x *= scale;
        }
        *sums = [
            sum_lanes(
                row,
                row,
                #[inline(always)]
                |x, _| x,
            ),
            sum_lanes(
                row,
                normal,
                #[inline(always)]
                |x, y| x * y,
            ),
        ];
    }
    let rows = gradients
        .chunks_exact_mut(dim)
        .zip(normal.chunks_exact(dim));
    for (((row, normal), factor), sums) in rows.zip(factors).zip(&*lanes) {
        let (mean, along) = (total(&sums[0]) * share, total(&sums[1]) * share);
        let columns = row.iter_mut().zip(normal);
        columns.for_each(|(x, normal)| *x = factor * (*x - mean - normal * along));
    }
}
