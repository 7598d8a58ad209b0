//! Position embeddings of a picture for another grid of patches than they were learned on.

/// Resizes `[from · from, width]` embeddings to `[to · to, width]` by cubic convolution (Keys,
/// 1981), as PyTorch's `interpolate(mode="bicubic", align_corners=False)` does, each axis by
/// itself. With `antialias` the kernel grows with the step where the grid shrinks.
pub(crate) fn resized(
    embeddings: &[f32],
    width: usize,
    (from, to): (usize, usize),
    antialias: bool,
) -> Vec<f32> {
    let taps: Vec<Vec<(usize, f32)>> = (0..to).map(|at| taps(at, from, to, antialias)).collect();
    let mut out = vec![0.0; to * to * width];
    for (place, out) in out.chunks_exact_mut(width).enumerate() {
        for &(row, down) in &taps[place / to] {
            for &(column, across) in &taps[place % to] {
                let start = (row * from + column) * width;
                let embedding = &embeddings[start..start + width];
                let weight = down * across;
                out.iter_mut()
                    .zip(embedding)
                    .for_each(|(out, x)| *out += weight * x);
            }
        }
    }
    out
}

/// Which of `from` places make the place `at` among `to`, and how much of each: all weights
/// together one.
fn taps(at: usize, from: usize, to: usize, antialias: bool) -> Vec<(usize, f32)> {
    let step = from as f64 / to as f64;
    let centre = (at as f64 + 0.5) * step - 0.5;
    // PyTorch's coefficients: of Keys where the kernel grows, and otherwise a sharper one.
    let (scale, sharpness) = match antialias {
        true => (step.max(1.0), -0.5),
        false => (1.0, -0.75),
    };
    let reach = 2.0 * scale;
    let (first, last) = (
        (centre - reach).ceil() as i64,
        (centre + reach).floor() as i64,
    );
    let kernel = |place: i64| cubic((place as f64 - centre) / scale, sharpness);
    let end = from as i64 - 1;
    let taps = (first..=last).filter_map(|place| match antialias {
        // Without, places beyond the edge are the edge; with, they are not there.
        true => (0..=end).contains(&place).then(|| (place, kernel(place))),
        false => Some((place.clamp(0, end), kernel(place))),
    });
    let taps: Vec<(i64, f64)> = taps.collect();
    let total: f64 = taps.iter().map(|(_, weight)| weight).sum();
    let normal = taps
        .into_iter()
        .map(|(place, weight)| (place as usize, (weight / total) as f32));
    normal.collect()
}

/// Keys' kernel with the slope `a` at one.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_of_the_same_size_stays_as_it_is() {
        let embeddings: Vec<f32> = (0..3 * 3 * 2).map(|x| x as f32).collect();
        for antialias in [false, true] {
            assert_eq!(resized(&embeddings, 2, (3, 3), antialias), embeddings);
        }
    }

    /// `torch.nn.functional.interpolate(x, size=…, mode="bicubic", align_corners=False)` of
    /// `x[i] = sin(i)`, 4 × 4, torch 2.15.
    #[test]
    fn other_grids_are_pytorch_s() {
        let embeddings: Vec<f32> = (0..16).map(|i| (i as f32).sin()).collect();
        for (to, antialias, expected) in EXPECTED {
            let found = resized(&embeddings, 1, (4, to), antialias);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 2e-6, "{found} {expected}");
            }
        }
    }

    const EXPECTED: [(usize, bool, &[f32]); 3] = [
        (
            3,
            false,
            &[
                -0.041919, 0.763556, 0.318787, 0.101667, -0.650661, -0.337598, -0.188087, 0.708462,
                0.444976,
            ],
        ),
        (
            6,
            false,
            &[
                -0.015213, 0.530344, 1.096683, 1.106079, 0.555793, 0.016814, -0.572906, -0.414090,
                -0.084551, 0.251640, 0.496478, 0.573027, -0.513005, -0.776178, -0.898645,
                -0.597957, 0.038234, 0.511917, 0.916638, 0.599791, 0.007907, -0.530045, -0.857247,
                -0.917018, 0.376677, 0.499842, 0.517590, 0.296747, -0.098309, -0.376085, -0.763641,
                -0.189985, 0.622096, 1.070526, 1.024583, 0.764871,
            ],
        ),
        (
            3,
            true,
            &[
                -0.155288, 0.505077, 0.447334, 0.034378, -0.449658, -0.294380, 0.072195, 0.581775,
                0.264200,
            ],
        ),
    ];
}
