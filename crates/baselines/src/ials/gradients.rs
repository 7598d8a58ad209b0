//! Conjugate gradients (Hestenes and Stiefel, 1952).

use super::lanes::{Lanes, add, add_all, dot};

/// Steps, at most: more than the worst of equations takes.
const STEPS: usize = 1000;

/// The vectors of a solution on its way; keep them, and with them their memory.
#[derive(Debug, Default)]
pub(super) struct Gradients {
    solution: Vec<Lanes>,
    residual: Vec<Lanes>,
    direction: Vec<Lanes>,
    /// The matrix times the direction.
    image: Vec<Lanes>,
}

impl Gradients {
    /// `x` of `A·x = right` but for a `rest` of that, where `apply(p, out)` writes `out = A·p` of a
    /// positive definite matrix.
    #[inline(always)]
    pub fn solve(
        &mut self,
        right: &[Lanes],
        rest: f32,
        apply: impl Fn(&[Lanes], &mut [Lanes]),
    ) -> &[Lanes] {
        let Self {
            solution,
            residual,
            direction,
            image,
        } = self;
        for vector in [&mut *solution, &mut *image] {
            vector.clear();
            vector.resize(right.len(), Lanes::default());
        }
        for vector in [&mut *residual, &mut *direction] {
            vector.clear();
            vector.extend(right);
        }
        let mut left = dot(right, right);
        // Squares that are smaller are lost.
        let enough = (rest * rest * left).max(f32::MIN_POSITIVE);
        for _ in 0..STEPS {
            if left <= enough {
                break;
            }
            apply(direction, image);
            let step = left / dot(direction, image);
            add_all(solution, direction, step);
            add_all(residual, image, -step);
            let before = std::mem::replace(&mut left, dot(residual, residual));
            let keep = left / before;
            for (direction, residual) in direction.iter_mut().zip(&*residual) {
                let mut next = *residual;
                add(&mut next, direction, keep);
                *direction = next;
            }
        }
        solution
    }
}
