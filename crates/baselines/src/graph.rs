//! Users and items as the nodes of a graph, and sums over neighbours.

use mmdlrm_kernels::{add_scaled, prefetch, vectorize};
use rayon::prelude::*;

use crate::pairs::Pairs;
use crate::sparse::Sparse;

/// Columns that are summed at a time: as many as stay in registers.
const WIDE: usize = 64;
const NARROW: usize = 16;
/// Neighbours that are asked for ahead of the one that is added.
const AHEAD: usize = 4;

/// `Â = D^-½·A·D^-½`, `[nodes, nodes]`: users first, then items; an edge between a user and each
/// item of the user's, degrees `D`. A node without an edge has a row of zeros.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    matrix: Sparse,
}

impl Graph {
    /// With `added` to each degree.
    pub fn of(pairs: &Pairs, added: f64) -> Self {
        let edges: Vec<(u32, u32)> = pairs.edges().collect();
        Self::of_edges(&edges, pairs.users(), pairs.items(), added)
    }

    /// Of edges `(user, item)` in order, each once.
    pub fn of_edges(edges: &[(u32, u32)], users: usize, items: usize, added: f64) -> Self {
        let nodes = users + items;
        let mut degrees = vec![added; nodes];
        for &(user, item) in edges {
            degrees[user as usize] += 1.0;
            degrees[users + item as usize] += 1.0;
        }
        let weighed = edges.iter().map(|&(user, item)| {
            let item = users as u32 + item;
            let degrees = degrees[user as usize] * degrees[item as usize];
            (user, item, degrees.sqrt().recip() as f32)
        });
        let back = weighed
            .clone()
            .map(|(user, item, weight)| (item, user, weight));
        Self {
            matrix: Sparse::of_entries(nodes, weighed.chain(back)),
        }
    }

    pub fn nodes(&self) -> usize {
        self.matrix.rows()
    }

    /// `Â`.
    pub fn matrix(&self) -> &Sparse {
        &self.matrix
    }

    /// `out = (x + Â·x + … + Âᴷ·x) / (K + 1)`, `[nodes, width]`, of `layers` K: what LightGCN makes
    /// of its tables; and, since `Â` is symmetric, the gradient of that. `scratch` is kept from one
    /// call to the next.
    pub fn mean_of_layers(
        &self,
        x: &[f32],
        layers: usize,
        width: usize,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        if layers == 0 {
            out.copy_from_slice(x);
            return;
        }
        // Horner: x + Â·(x + Â·(x + …)), from one buffer to the other, the last being `out`.
        scratch.resize(x.len(), 0.0);
        let (mut from, mut to) = match layers % 2 {
            0 => (&mut *out, scratch.as_mut_slice()),
            _ => (scratch.as_mut_slice(), &mut *out),
        };
        for layer in 1..=layers {
            let sums = if layer == 1 { x } else { &*from };
            let factor = if layer == layers {
                1.0 / (layers + 1) as f32
            } else {
                1.0
            };
            multiply(&self.matrix, sums, Some(x), factor, (to, width));
            std::mem::swap(&mut from, &mut to);
        }
    }
}

/// What comes to a node that nobody knew of from its neighbours as they stand: with vectors of 0
/// of its own, `1/(K + 1)·Σ_{k=1..K} Σ_i Eᵏ⁻¹_i / √(d·d_i)`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newcomers {
    /// `1/(K + 1)·Σ_{k=1..K} Eᵏ⁻¹` of the items, `[items, width]`.
    messages: Vec<f32>,
    /// How many users rated each item.
    counts: Vec<u32>,
    width: usize,
}

impl Newcomers {
    /// Of `counts` and the tables `x`, `[users + items, width]`, of `layers` K, 1 or more.
    pub fn of(graph: &Graph, counts: Vec<u32>, x: &[f32], layers: usize, width: usize) -> Self {
        let mut messages = vec![0.0; x.len()];
        graph.mean_of_layers(x, layers - 1, width, &mut messages, &mut Vec::new());
        let mut messages = messages.split_off((graph.nodes() - counts.len()) * width);
        let factor = layers as f32 / (layers + 1) as f32;
        messages.iter_mut().for_each(|x| *x *= factor);
        Self {
            messages,
            counts,
            width,
        }
    }

    /// The vector of somebody who rated some items, each once, `[width]`.
    pub fn vector(&self, rated: &[u32]) -> Vec<f32> {
        let mut vector = vec![0.0; self.width];
        for &item in rated {
            let degrees = rated.len() as f32 * self.counts[item as usize].max(1) as f32;
            let message = &self.messages[item as usize * self.width..][..self.width];
            add_scaled(&mut vector, message, degrees.sqrt().recip());
        }
        vector
    }
}

/// `out = factor·(A·x + addend)`, `x` of `[columns, width]`, the others of `[rows, width]`. Each row
/// is summed by one thread, in the order of its columns.
pub(crate) fn multiply(
    matrix: &Sparse,
    x: &[f32],
    addend: Option<&[f32]>,
    factor: f32,
    (out, width): (&mut [f32], usize),
) {
    let rows = out.par_chunks_exact_mut(width.max(1)).enumerate();
    rows.with_min_len(16).for_each(|(row, out)| {
        let addend = addend.map(|addend| &addend[row * width..][..width]);
        let (columns, values) = matrix.row(row);
        let sum = RowSum {
            columns,
            values,
            x,
            width,
            addend,
            factor,
        };
        vectorize(
            #[inline(always)]
            || {
                let (wide, rest) = out.as_chunks_mut::<WIDE>();
                let mut start = 0;
                for out in wide {
                    sum.write(start, out);
                    start += WIDE;
                }
                let (narrow, rest) = rest.as_chunks_mut::<NARROW>();
                for out in narrow {
                    sum.write(start, out);
                    start += NARROW;
                }
                for out in rest {
                    sum.write(start, std::array::from_mut(out));
                    start += 1;
                }
            },
        );
    });
}

/// A row of `factor·(A·x + addend)`.
struct RowSum<'a> {
    columns: &'a [u32],
    values: &'a [f32],
    x: &'a [f32],
    width: usize,
    addend: Option<&'a [f32]>,
    factor: f32,
}

impl RowSum<'_> {
    /// Some of it, from the column `start` on, which stays in registers from the first neighbour to
    /// the last.
    #[inline(always)]
    fn write<const W: usize>(&self, start: usize, out: &mut [f32; W]) {
        let mut sums = [0.0; W];
        if let Some(addend) = self.addend {
            sums.copy_from_slice(&addend[start..][..W]);
        }
        for (place, (&column, &value)) in self.columns.iter().zip(self.values).enumerate() {
            if let Some(&ahead) = self.columns.get(place + AHEAD) {
                prefetch(&self.x[ahead as usize * self.width + start..][..W]);
            }
            let row = &self.x[column as usize * self.width + start..][..W];
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += value * x;
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = self.factor * sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        // Users 0 and 1 with items 0 and 2; user 2 and item 1 have no edge.
        Graph::of_edges(&[(0, 0), (0, 2), (1, 2)], 3, 3, 0.0)
    }

    #[test]
    fn edges_are_weighed_by_both_degrees() {
        let graph = graph();
        let weight = |node, other| graph.matrix.get(node, other);
        assert_eq!(weight(0, 3), 0.5f32.sqrt());
        assert_eq!(weight(3, 0), 0.5f32.sqrt());
        assert_eq!((weight(0, 5), weight(5, 1)), (0.5, 0.5f32.sqrt()));
        assert_eq!(
            (graph.matrix.row(2).0.len(), graph.matrix.row(4).0.len()),
            (0, 0)
        );
    }

    #[test]
    fn sums_are_those_of_a_dense_product_at_any_width() {
        let graph = graph();
        for width in [1, 5, 16, 20, 64, 83, 128] {
            let x: Vec<f32> = (0..6 * width).map(|at| (at as f32).sin()).collect();
            let mut mean = vec![0.0; x.len()];
            graph.mean_of_layers(&x, 2, width, &mut mean, &mut Vec::new());
            let product = |x: &[f64]| -> Vec<f64> {
                let at = |row: usize, column: usize| {
                    let of = |other: usize| {
                        f64::from(graph.matrix.get(row, other as u32)) * x[other * width + column]
                    };
                    (0..6).map(of).sum::<f64>()
                };
                (0..6 * width)
                    .map(|it| at(it / width, it % width))
                    .collect()
            };
            let zeroth: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
            let first = product(&zeroth);
            let second = product(&first);
            for (place, found) in mean.iter().enumerate() {
                let expected = (zeroth[place] + first[place] + second[place]) / 3.0;
                assert!((f64::from(*found) - expected).abs() < 1e-6);
            }
        }
    }
}
