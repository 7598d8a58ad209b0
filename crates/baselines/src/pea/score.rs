//! The score of a user and an item.

use mmdlrm_kernels::{Panels, add_scaled, vectorize};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::dense::{Out, multiply, of_bias, of_weight, total};
use crate::pairwise::{Triples, add_rows, softplus};
use crate::parameters::{Matrix, Parameters, uniform, xavier_uniform};

/// Triples that a thread takes at a time.
const AT_A_TIME: usize = 256;

/// With `r` of users and items, `[_, R]`:
///
/// ```text
/// s_ui = w₂·relu(W₁·[r_u ; r_i] + b₁) + b₂,    W₁: [R, 2R], w₂: [R]
/// ```
///
/// The first layer is `a_u + c_i`, of a user's part `a_u = W₁ᵘ·r_u + b₁` and an item's
/// `c_i = W₁ⁱ·r_i`, each computed once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Score {
    /// `W₁`.
    first: Matrix,
    first_bias: Matrix,
    /// `w₂`.
    second: Matrix,
    second_bias: Matrix,
    width: usize,
}

/// Parts of the first layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    /// `a`, `[users, R]`.
    pub users: Vec<f32>,
    /// `c`, `[items, R]`.
    pub items: Vec<f32>,
}

impl Score {
    /// With parameters of its own, as the authors' code calls them.
    pub fn new(parameters: &mut Parameters, width: usize) -> Self {
        Self {
            first: parameters.add("fc1.weight", width, 2 * width),
            first_bias: parameters.add("fc1.bias", 1, width),
            second: parameters.add("fc2.weight", 1, width),
            second_bias: parameters.add("fc2.bias", 1, 1),
            width,
        }
    }

    /// Draws what the parameters begin with.
    pub fn begin(&self, values: &mut [f32], random: &mut ChaCha8Rng) {
        xavier_uniform(self.first, values, random);
        xavier_uniform(self.second, values, random);
        let bound = |inputs: usize| (inputs as f32).sqrt().recip();
        uniform(
            self.first_bias.of_mut(values),
            bound(2 * self.width),
            random,
        );
        uniform(self.second_bias.of_mut(values), bound(self.width), random);
    }

    /// `w₂` and `b₂`.
    pub fn second<'a>(&self, values: &'a [f32]) -> (&'a [f32], f32) {
        (self.second.of(values), self.second_bias.of(values)[0])
    }

    /// `a` of some users.
    pub fn of_users(&self, values: &[f32], users: &[f32], out: &mut Vec<f32>) {
        out.resize(users.len(), 0.0);
        let bias = Out::Biased(self.first_bias.of(values));
        multiply((users, self.width), &self.forth(values, 0), out, bias);
    }

    /// `c` of some items.
    pub fn of_items(&self, values: &[f32], items: &[f32], out: &mut Vec<f32>) {
        out.resize(items.len(), 0.0);
        let panels = self.forth(values, self.width);
        multiply((items, self.width), &panels, out, Out::Store);
    }

    /// Half of `W₁`, from a column on, transposed.
    fn forth(&self, values: &[f32], column: usize) -> Panels {
        let mut panels = Panels::default();
        let half = &self.first.of(values)[column..];
        panels.fill_transposed((half, 2 * self.width), self.width, self.width);
        panels
    }

    /// The same as it is.
    fn back(&self, values: &[f32], column: usize) -> Panels {
        let mut panels = Panels::default();
        let half = &self.first.of(values)[column..];
        panels.fill((half, 2 * self.width), self.width, self.width);
        panels
    }

    /// `Σ softplus(s_uj − s_ui)`, which is returned, and its gradients, which are added to
    /// `gradients`, and take the place of `of_repr`, those of `r`, users first.
    pub fn bpr(
        &self,
        values: &[f32],
        (repr, parts): (&[f32], &Parts),
        triples: &Triples,
        (gradients, of_repr): (&mut [f32], &mut [f32]),
    ) -> f64 {
        let r = self.width;
        let (losses, slopes) = self.slopes(values, parts, triples);
        let of_second = self.of_second(parts, triples, &slopes);
        let out = self.second.of_mut(gradients).iter_mut();
        out.zip(of_second).for_each(|(out, x)| *out += x);
        let (of_users, of_items) = self.of_parts(values, parts, triples, &slopes);

        let split = parts.users.len();
        let (users, items) = repr.split_at(split);
        let items = &items[..parts.items.len()];
        let halves = [
            of_weight((&of_users, r), (users, r)),
            of_weight((&of_items, r), (items, r)),
        ];
        for (row, out) in self
            .first
            .of_mut(gradients)
            .chunks_exact_mut(2 * r)
            .enumerate()
        {
            for (half, out) in halves.iter().zip(out.chunks_exact_mut(r)) {
                add_scaled(out, &half[row * r..][..r], 1.0);
            }
        }
        let of_bias = of_bias((&of_users, r));
        add_scaled(self.first_bias.of_mut(gradients), &of_bias, 1.0);
        let (out_users, out_items) = of_repr.split_at_mut(split);
        let (out_items, others) = out_items.split_at_mut(items.len());
        others.fill(0.0);
        multiply((&of_users, r), &self.back(values, 0), out_users, Out::Store);
        multiply((&of_items, r), &self.back(values, r), out_items, Out::Store);
        losses
    }

    /// The sum of the losses, and of each triple the derivative by `s_uj − s_ui`.
    fn slopes(&self, values: &[f32], parts: &Parts, triples: &Triples) -> (f64, Vec<f32>) {
        let (second, _) = self.second(values);
        let of_triple = |number: usize| {
            let [user, rated, other] = parts.of_triple(triples, number, self.width);
            let mut difference = 0.0;
            for k in 0..self.width {
                let (rated, other) = (user[k] + rated[k], user[k] + other[k]);
                difference += second[k] * (other.max(0.0) - rated.max(0.0));
            }
            let difference = f64::from(difference);
            let slope = (1.0 + (-difference).exp()).recip();
            (softplus(difference), slope as f32)
        };
        let numbers = (0..triples.len()).into_par_iter();
        let each = numbers.with_min_len(AT_A_TIME).map(of_triple);
        let (losses, slopes): (Vec<f64>, Vec<f32>) = each.unzip();
        (losses.iter().sum(), slopes)
    }

    /// Gradients of `w₂`; those of `b₂` cancel.
    fn of_second(&self, parts: &Parts, triples: &Triples, slopes: &[f32]) -> Vec<f32> {
        let pieces = slopes.par_chunks(AT_A_TIME).enumerate();
        let sums = pieces.map(|(piece, slopes)| {
            let mut sum = vec![0.0; self.width];
            vectorize(
                #[inline(always)]
                || {
                    for (place, slope) in slopes.iter().enumerate() {
                        let number = piece * AT_A_TIME + place;
                        let [user, rated, other] = parts.of_triple(triples, number, self.width);
                        for (k, sum) in sum.iter_mut().enumerate() {
                            let (rated, other) = (user[k] + rated[k], user[k] + other[k]);
                            *sum += slope * (other.max(0.0) - rated.max(0.0));
                        }
                    }
                },
            );
            sum
        });
        total(sums.collect(), self.width)
    }

    /// Gradients of `a` and `c`.
    fn of_parts(
        &self,
        values: &[f32],
        parts: &Parts,
        triples: &Triples,
        slopes: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (r, count) = (self.width, triples.len());
        let (second, _) = self.second(values);
        // Of one item of a triple: `slope·w₂` where the first layer is above 0.
        let add = |user: &[f32], item: &[f32], slope: f32, out: &mut [f32]| {
            for (k, out) in out.iter_mut().enumerate() {
                let is_above = user[k] + item[k] > 0.0;
                *out += if is_above { slope * second[k] } else { 0.0 };
            }
        };
        let mut of_users = vec![0.0; parts.users.len()];
        add_rows(
            &[&triples.users],
            r,
            &mut of_users,
            #[inline(always)]
            |number, out| {
                let [user, rated, other] = parts.of_triple(triples, number, r);
                add(user, other, slopes[number], out);
                add(user, rated, -slopes[number], out);
            },
        );
        let mut of_items = vec![0.0; parts.items.len()];
        add_rows(
            &[&triples.rated, &triples.others],
            r,
            &mut of_items,
            #[inline(always)]
            |number, out| {
                let triple = number % count;
                let [user, rated, other] = parts.of_triple(triples, triple, r);
                match number < count {
                    true => add(user, rated, -slopes[triple], out),
                    false => add(user, other, slopes[triple], out),
                }
            },
        );
        (of_users, of_items)
    }
}

impl Parts {
    /// Those of the user, the item that the user rated and the other.
    #[inline(always)]
    fn of_triple(&self, triples: &Triples, number: usize, width: usize) -> [&[f32]; 3] {
        let user = &self.users[triples.users[number] as usize * width..][..width];
        let item = |item: u32| &self.items[item as usize * width..][..width];
        [
            user,
            item(triples.rated[number]),
            item(triples.others[number]),
        ]
    }
}
