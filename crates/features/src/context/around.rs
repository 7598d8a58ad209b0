//! The ratings of a bag that stand around a row, and means over them under a kernel.

use mmdlrm_data::{Rated, RatedBag};

/// Ratings before, and after, that are looked at: so that the cost of a row does
/// not grow with the bag.
pub(crate) const REACH: usize = 256;

/// The ratings of a bag before and after a row, without the row itself.
pub(crate) struct Around {
    /// Where the first of those before stands, and behind the last.
    pub before: (usize, usize),
    after: (usize, usize),
}

pub(crate) fn around(bag: RatedBag, id: u32, rated: &Rated, leave_own_out: bool) -> Around {
    let own = if leave_own_out {
        bag.position(id, rated.timestamp, rated.stars)
    } else {
        None
    };
    let place = own.unwrap_or_else(|| bag.place(id, rated.timestamp));
    let behind = place + usize::from(own.is_some());
    Around {
        before: (place.saturating_sub(REACH), place),
        after: (behind, bag.len().min(behind + REACH)),
    }
}

impl Around {
    /// Hands out the place in the bag of each rating, and how many stand between.
    #[inline]
    pub fn for_each(&self, mut take: impl FnMut(usize, usize)) {
        for at in self.before.0..self.before.1 {
            take(at, self.before.1 - 1 - at);
        }
        for at in self.after.0..self.after.1 {
            take(at, at - self.after.0);
        }
    }
}

/// A mean of residuals under a kernel: `Σ w·r / (Σ w + shrinkage)`.
#[derive(Clone, Copy, Default)]
pub(crate) struct KernelMean {
    /// `Σ w`.
    pub mass: f32,
    /// `Σ w·r`.
    pub sum: f32,
}

impl KernelMean {
    #[inline]
    pub fn add(&mut self, weight: f32, residual: f32) {
        self.mass += weight;
        self.sum += weight * residual;
    }

    /// The mean, shrunk by ratings of the average, and the logarithm of the mass.
    pub fn write(self, shrinkage: f32, out: &mut Vec<f32>) {
        out.push(self.sum / (self.mass + shrinkage));
        out.push(self.mass.ln_1p());
    }
}

/// `e⁻ˣ`. The library comes to 0 by a slow way; from 150·ln 2, 103.97, it is 0.
#[inline]
pub(crate) fn falling(x: f32) -> f32 {
    if x > 104.0 { 0.0 } else { (-x).exp() }
}
