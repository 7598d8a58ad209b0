use mmdlrm_kernels::add_scaled;

use super::{Triples, Vectors, add_rows};
use crate::parameters::Matrix;

/// A table of users and one of items behind it, both of one width, at the beginning of the
/// parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables {
    pub users: Matrix,
    pub items: Matrix,
}

impl Tables {
    fn split_at(self) -> (usize, usize) {
        (self.users.len(), self.users.len() + self.items.len())
    }

    /// Both, `[users + items, width]`.
    pub fn of(self, values: &[f32]) -> &[f32] {
        &values[..self.split_at().1]
    }

    pub fn of_mut(self, values: &mut [f32]) -> &mut [f32] {
        &mut values[..self.split_at().1]
    }

    /// Each of them.
    pub fn split(self, values: &mut [f32]) -> (&mut [f32], &mut [f32]) {
        self.of_mut(values).split_at_mut(self.split_at().0)
    }

    /// Whatever lies as the tables do, as vectors.
    pub fn vectors(self, values: &[f32]) -> Vectors<'_> {
        let (users, items) = self.of(values).split_at(self.split_at().0);
        Vectors {
            users,
            items,
            width: self.users.columns,
        }
    }

    /// `decay·½·Σ(‖e_u‖² + ‖e_i‖² + ‖e_j‖²) / B` over the rows that a batch names, each as often as
    /// it does; the gradients are added.
    pub fn add_penalty(
        self,
        values: &[f32],
        triples: &Triples,
        decay: f64,
        gradients: &mut [f32],
    ) -> f64 {
        let vectors = self.vectors(values);
        let count = triples.len();
        let factor = (decay / count.max(1) as f64) as f32;
        let squares = |x: &[f32]| x.iter().map(|x| f64::from(x * x)).sum::<f64>();
        let (of_users, of_items) = self.split(gradients);
        add_rows(&[&triples.users], vectors.width, of_users, |number, out| {
            add_scaled(out, vectors.user(triples.users[number]), factor);
        });
        let items = [&*triples.rated, &*triples.others];
        add_rows(&items, vectors.width, of_items, |number, out| {
            let item = items[number / count][number % count];
            add_scaled(out, vectors.item(item), factor);
        });
        let users = triples
            .users
            .iter()
            .map(|&user| squares(vectors.user(user)));
        let items = items
            .into_iter()
            .flatten()
            .map(|&item| squares(vectors.item(item)));
        0.5 * decay * (users.sum::<f64>() + items.sum::<f64>()) / count.max(1) as f64
    }
}
