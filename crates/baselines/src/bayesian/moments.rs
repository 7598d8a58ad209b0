//! What the ratings of one row say of its bias and factors.

use mmdlrm_data::RatedBag;

use super::folded::{Folded, LANES, width};

/// Ratings that are added at a time: sums are read and written once for all of them.
const AT_A_TIME: usize = 4;

/// Sums over the ratings of a row, of `φ`, `[k + 1]`, which the row's bias and factors are
/// multiplied with, and of `y`, which is to be explained by them:
///
/// ```text
/// G = Σ φ·φᵀ        [k + 1, k + 1]
/// h = Σ φ·y         [k + 1]
/// ```
///
/// Whatever is drawn or solved for a row needs these and no rating by itself. They are summed in
/// the order of the ratings.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    width: usize,
    columns: usize,
    /// `G` and below it `h`, `[k + 2, width]`.
    sums: Vec<f64>,
}

impl Moments {
    pub fn new(rank: usize) -> Self {
        let (width, columns) = (width(rank), rank + 1);
        Self {
            width,
            columns,
            sums: vec![0.0; (columns + 1) * width],
        }
    }

    pub fn clear(&mut self) {
        self.sums.fill(0.0);
    }

    /// A row of `G`, with zeros to a multiple of [`LANES`].
    #[inline(always)]
    pub fn products(&self, row: usize) -> &[f64] {
        &self.sums[row * self.width..(row + 1) * self.width]
    }

    /// `h`, as long.
    #[inline(always)]
    pub fn targets(&self) -> &[f64] {
        self.products(self.columns)
    }

    /// Those of a row's ratings, `φ = (1, q)` of each partner and `y` the stars less `mean` and the
    /// partner's bias.
    #[inline(always)]
    pub fn gather(&mut self, bag: RatedBag, partners: &Folded, mean: f64) {
        self.clear();
        let of = |at: usize| {
            let partner = bag.ids[at] as usize;
            let target = f64::from(bag.stars[at]) - mean - partners.biases[partner];
            (partners.row(partner), target)
        };
        let (length, mut at) = (bag.ids.len(), 0);
        while at + AT_A_TIME <= length {
            let rated: [_; AT_A_TIME] = std::array::from_fn(|next| of(at + next));
            self.add(rated);
            at += AT_A_TIME;
        }
        (at..length).for_each(|at| self.add([of(at)]));
    }

    /// Adds ratings one after another: `φ` with zeros to a multiple of [`LANES`], and `y`.
    #[inline(always)]
    pub fn add<const N: usize>(&mut self, rated: [(&[f64], f64); N]) {
        for chunk in 0..self.width / LANES {
            let first = chunk * LANES;
            let lanes = rated.map(|(row, _)| lanes(&row[first..]));
            let mut rows = self.sums.chunks_exact_mut(self.width);
            let products = rows.by_ref().take(self.columns);
            for (column, sums) in products.enumerate() {
                add_rows(
                    &mut sums[first..],
                    &lanes,
                    rated.map(|(row, _)| row[column]),
                );
            }
            if let Some(sums) = rows.next() {
                add_rows(&mut sums[first..], &lanes, rated.map(|(_, target)| target));
            }
        }
    }
}

/// `out += Σ_n factors_n·rows_n`, in this order.
#[inline(always)]
fn add_rows<const N: usize>(out: &mut [f64], rows: &[[f64; LANES]; N], factors: [f64; N]) {
    let mut sums = lanes(out);
    for (row, factor) in rows.iter().zip(factors) {
        sums = std::array::from_fn(|lane| sums[lane] + factor * row[lane]);
    }
    out[..LANES].copy_from_slice(&sums);
}

/// The first of some numbers.
#[inline(always)]
fn lanes(numbers: &[f64]) -> [f64; LANES] {
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&numbers[..LANES]);
    lanes
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{Rated, RatedBags};

    use super::*;

    #[test]
    fn they_are_the_sums_that_they_are_said_to_be() {
        for rank in [1, 7, 8, 20] {
            let mut partners = Folded::new(13, rank);
            for partner in 0..13 {
                partners.biases[partner] = partner as f64 / 7.0;
                for factor in 1..=rank {
                    let value = ((partner * 31 + factor * 17) % 11) as f64 - 5.0;
                    partners.rows[partner * partners.width + factor] = value;
                }
            }
            let rated = (0..11).map(|at| Rated {
                movie: at * 6 % 13,
                stars: at as f32 / 2.0,
                ..Rated::default()
            });
            let bags = RatedBags::of_users(1, rated);
            let mut moments = Moments::new(rank);
            moments.gather(bags.row(0), &partners, 0.25);
            moments.gather(bags.row(0), &partners, 0.25);
            for row in 0..=rank + 1 {
                for column in 0..=rank {
                    let of = |(movie, stars): (u32, f32)| {
                        let phi = partners.row(movie as usize);
                        let target = f64::from(stars) - 0.25 - f64::from(movie) / 7.0;
                        phi[column] * if row <= rank { phi[row] } else { target }
                    };
                    let expected: f64 = bags.row(0).stars_by_id().map(of).sum();
                    let found = moments.products(row)[column];
                    assert!((found - expected).abs() < 1e-9, "{found} {expected}");
                }
            }
        }
    }
}
