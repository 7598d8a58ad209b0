//! Where users and movies stand in the graph.

use rayon::prelude::*;

use crate::graph::{Graph, multiply};

/// `Ê⁰ … Ê^L`: `Êᵏ` is the mean of `E⁰ … Eᵏ`, with `Eˡ = Â·Eˡ⁻¹`, each `[nodes, D]`.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    means: Vec<Vec<f32>>,
}

impl Positions {
    /// Of the tables `E⁰`, `[nodes, D]`.
    pub fn of(graph: &Graph, tables: &[f32], layers: usize, dim: usize) -> Self {
        let mut means = vec![tables.to_vec()];
        let (mut sums, mut next) = (tables.to_vec(), vec![0.0; tables.len()]);
        for layer in 1..=layers {
            // E⁰ + Â·(E⁰ + … + Eˡ⁻¹).
            multiply(graph.matrix(), &sums, Some(tables), 1.0, (&mut next, dim));
            std::mem::swap(&mut sums, &mut next);
            let factor = 1.0 / (layer + 1) as f32;
            let numbers = sums.par_iter().with_min_len(1 << 14);
            means.push(numbers.map(|sum| factor * sum).collect());
        }
        Self { means }
    }

    /// `Êᵏ`.
    pub fn mean(&self, layers: usize) -> &[f32] {
        &self.means[layers]
    }

    /// Where somebody stands to whom nothing but neighbours belongs: `Êᵏ = k/(k + 1)·Σ â·Êᵏ⁻¹` over
    /// them, `neighbours` being nodes and their `â`. `[k][D]` from `Ê⁰` on.
    pub fn of_newcomer(&self, neighbours: &[(u32, f32)], dim: usize) -> Vec<Vec<f32>> {
        let mut positions = vec![vec![0.0; dim]];
        for (number, mean) in self.means[..self.means.len() - 1].iter().enumerate() {
            let mut sum = vec![0.0; dim];
            for &(node, weight) in neighbours {
                let row = &mean[node as usize * dim..][..dim];
                let factor = weight * (number + 1) as f32 / (number + 2) as f32;
                sum.iter_mut()
                    .zip(row)
                    .for_each(|(sum, x)| *sum += factor * x);
            }
            positions.push(sum);
        }
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_stands_where_a_user_would_whose_own_vector_is_zero() {
        // User 2 has no vector, and no say in where others stand.
        let graph = Graph::of_edges(&[(0, 0), (0, 1), (1, 1), (2, 0), (2, 1)], 3, 2, 0.0);
        let mut tables: Vec<f32> = (0..10).map(|at| (at as f32).sin()).collect();
        tables[4..6].fill(0.0);
        let positions = Positions::of(&graph, &tables, 1, 2);
        let (nodes, weights) = graph.matrix().row(2);
        let neighbours: Vec<_> = nodes.iter().copied().zip(weights.iter().copied()).collect();
        let newcomer = positions.of_newcomer(&neighbours, 2);
        assert_eq!(newcomer[0], [0.0; 2]);
        for (found, expected) in newcomer[1].iter().zip(&positions.mean(1)[4..6]) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
