//! Draws of rows' own weights.

use mmdlrm_data::RatedBags;

use super::block::Level;
use super::folded::{Folded, LANES, width};
use super::left::LeftRows;
use super::moments::Moments;
use super::prior::Prior;

/// What rows are drawn given.
pub(super) struct Given<'a> {
    pub bags: &'a RatedBags,
    pub partners: &'a Folded,
    pub level: Level,
    pub prior: &'a Prior,
}

/// Some rows of a block.
pub(super) struct Piece<'a> {
    pub first: usize,
    pub own: &'a mut [f64],
    pub biases: &'a mut [f64],
    pub rows: &'a mut [f64],
    pub normals: &'a [f64],
    /// Where rows have shared features, which are drawn next.
    pub left: Option<LeftRows<'a>>,
}

/// Memory of a thread; of rows of `width` numbers those past `k + 1` are 0.
pub(super) struct Scratch {
    /// Sums over `(1, q)` of each partner.
    moments: Moments,
    /// `Σ (1, q)·(r − r̂)`, `[width]`.
    residuals: Vec<f64>,
    /// `H`, what the shared features make of the row's factors; 0 first, `[width]`.
    shared: Vec<f64>,
    /// `K`, `[k + 1, width]`.
    products: Vec<f64>,
    /// How far each weight goes, `[width]`.
    changes: Vec<f64>,
}

impl Scratch {
    pub fn new(rank: usize) -> Self {
        let width = width(rank);
        Self {
            moments: Moments::new(rank),
            residuals: vec![0.0; width],
            shared: vec![0.0; width],
            products: vec![0.0; (rank + 1) * width],
            changes: vec![0.0; width],
        }
    }
}

impl Piece<'_> {
    /// Draws the weights `θ` of each row one after another. They are multiplied with `φ`: 1 for the
    /// bias, and `H_f + q_f` for a factor `f`, with `q` of the partner and `H` what the shared
    /// features make of the row's factors.
    ///
    /// ```text
    /// λ'_c = α·Σ φ_c² + λ_c       θ_c ~ N(θ_c + (α·Σ φ_c·(r − r̂) + λ_c·(μ_c − θ_c))/λ'_c, 1/λ'_c)
    /// ```
    ///
    /// What a draw leaves of the ratings to the next ones is in `K = Σ φ·φᵀ`, `[k + 1, k + 1]`.
    #[inline(always)]
    pub fn draw(&mut self, given: &Given, scratch: &mut Scratch) {
        for row in 0..self.biases.len() {
            let bag = given.bags.row((self.first + row) as u32);
            if bag.is_empty() {
                continue;
            }
            scratch
                .moments
                .gather(bag, given.partners, given.level.mean);
            self.look_at(row, given, scratch);
            match self.left {
                None => self.change::<false>(row, given, scratch),
                Some(_) => {
                    scratch.multiply();
                    self.change::<true>(row, given, scratch);
                }
            }
            self.settle(row, given, scratch);
        }
    }

    /// Writes what is left of the ratings, and `H`.
    #[inline(always)]
    fn look_at(&self, row: usize, given: &Given, scratch: &mut Scratch) {
        let columns = given.prior.means.len();
        let own = &self.own[row * columns..][..columns];
        let folded = &self.rows[row * given.partners.width..][..columns];
        scratch.residuals.copy_from_slice(scratch.moments.targets());
        scratch.subtract(0, self.biases[row]);
        for column in 1..columns {
            scratch.shared[column] = folded[column] - own[column];
            scratch.subtract(column, folded[column]);
        }
    }

    /// Draws how far each weight goes. Where nothing is shared `φ` is `(1, q)`.
    #[inline(always)]
    fn change<const SHARED: bool>(&self, row: usize, given: &Given, scratch: &mut Scratch) {
        let Scratch {
            moments,
            residuals,
            shared,
            products,
            changes,
        } = scratch;
        let (width, alpha, prior) = (given.partners.width, given.level.precision, given.prior);
        let columns = prior.means.len();
        let own = &self.own[row * columns..][..columns];
        let normals = &self.normals[row * columns..][..columns];
        for column in 0..columns {
            let (products, mut residual) = match SHARED {
                false => (moments.products(column), residuals[column]),
                true => {
                    let residual = residuals[column] + shared[column] * residuals[0];
                    (&products[column * width..][..width], residual)
                }
            };
            let precision = prior.precisions[column];
            let scale = (alpha * products[column] + precision).sqrt().recip();
            let to_mean = precision * (prior.means[column] - own[column]);
            let by_chance = scale * (scale * to_mean + normals[column]);
            for (product, change) in products[..column].iter().zip(&changes[..column]) {
                residual -= product * change;
            }
            changes[column] = scale * scale * alpha * residual + by_chance;
        }
    }

    /// Takes the weights where they go.
    #[inline(always)]
    fn settle(&mut self, row: usize, given: &Given, scratch: &mut Scratch) {
        let columns = given.prior.means.len();
        let own = &mut self.own[row * columns..][..columns];
        let folded = &mut self.rows[row * given.partners.width..][..columns];
        let mut of_bias = scratch.changes[0];
        own[0] += of_bias;
        for column in 1..columns {
            let change = scratch.changes[column];
            own[column] += change;
            folded[column] += change;
            of_bias += scratch.shared[column] * change;
        }
        self.biases[row] += of_bias;
        if let Some(left) = &mut self.left {
            scratch.subtract(0, of_bias);
            (1..columns).for_each(|column| scratch.subtract(column, scratch.changes[column]));
            left.put(row, &scratch.moments, &scratch.residuals);
        }
    }
}

impl Scratch {
    /// Takes out of what is left of the ratings what a change of `A` or a factor explains.
    #[inline(always)]
    fn subtract(&mut self, column: usize, change: f64) {
        let residuals = self.residuals.as_chunks_mut::<LANES>().0.iter_mut();
        let products = self.moments.products(column).as_chunks::<LANES>().0;
        for (residuals, x) in residuals.zip(products) {
            *residuals = std::array::from_fn(|lane| residuals[lane] - change * x[lane]);
        }
    }

    /// Writes `K`: with `G = Σ (1, q)·(1, q)ᵀ` of `n` ratings and `H_0 = 0` it is
    /// `K_cj = G_cj + H_c·G_0j + H_j·(G_c0 + H_c·n)`.
    #[inline(always)]
    fn multiply(&mut self) {
        let width = self.residuals.len();
        let of_bias = self.moments.products(0);
        for (column, out) in self.products.chunks_exact_mut(width).enumerate() {
            let products = self.moments.products(column);
            let share = self.shared[column];
            let factor = products[0] + share * of_bias[0];
            let out = out.as_chunks_mut::<LANES>().0.iter_mut();
            let given = products.as_chunks::<LANES>().0.iter();
            let given = given.zip(of_bias.as_chunks::<LANES>().0);
            let given = given.zip(self.shared.as_chunks::<LANES>().0);
            for (out, ((products, of_bias), shared)) in out.zip(given) {
                *out = std::array::from_fn(|lane| {
                    products[lane] + share * of_bias[lane] + factor * shared[lane]
                });
            }
        }
    }
}
