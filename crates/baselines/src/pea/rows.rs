//! Sums over a node's neighbours, and products with them: a stretch of columns at a time, whose
//! sums stay in registers.

use mmdlrm_kernels::dot;

/// Columns that are taken at a time.
const WIDE: usize = 64;
const NARROW: usize = 16;
/// Columns of a matrix: `width` of each row of `stride`, from `start` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    pub stride: usize,
    pub start: usize,
    pub width: usize,
}

impl Columns {
    /// Those of a row.
    #[inline(always)]
    pub fn of(self, matrix: &[f32], row: usize) -> &[f32] {
        &matrix[row * self.stride + self.start..][..self.width]
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn of_mut(self, matrix: &mut [f32], row: usize) -> &mut [f32] {
        &mut matrix[row * self.stride + self.start..][..self.width]
    }

    /// Those from `place` on, so many.
    #[inline(always)]
    fn stretch(self, place: usize, width: usize) -> Self {
        Self {
            start: self.start + place,
            width,
            ..self
        }
    }
}

/// `out += Σ_k weights[k]·row(nodes[k])`. For loops that are vectorized.
#[inline(always)]
pub(crate) fn add_weighted_rows(
    edges: (&[u32], &[f32]),
    (matrix, columns): (&[f32], Columns),
    out: &mut [f32],
) {
    let mut done = 0;
    while done < columns.width {
        let rest = columns.width - done;
        let out = &mut out[done..];
        // Widths that are known when compiled.
        done += match rest {
            WIDE.. => {
                let columns = columns.stretch(done, WIDE);
                add_stretch::<WIDE>(edges, (matrix, columns), &mut out[..WIDE]);
                WIDE
            }
            NARROW.. => {
                let columns = columns.stretch(done, NARROW);
                add_by_fours::<NARROW>(edges, (matrix, columns), &mut out[..NARROW]);
                NARROW
            }
            _ => {
                let columns = columns.stretch(done, rest);
                add_stretch::<NARROW>(edges, (matrix, columns), out);
                rest
            }
        };
    }
}

#[inline(always)]
fn add_stretch<const W: usize>(
    (nodes, weights): (&[u32], &[f32]),
    matrix: (&[f32], Columns),
    out: &mut [f32],
) {
    let rows = Whole::<W>::of(matrix);
    let mut sum = padded(out);
    for (&node, weight) in nodes.iter().zip(weights) {
        add(&mut sum, &rows.get(node), *weight);
    }
    out.copy_from_slice(&sum[..out.len()]);
}

/// The same with four sums beside each other: one of few columns would wait for itself.
#[inline(always)]
fn add_by_fours<const W: usize>(
    (nodes, weights): (&[u32], &[f32]),
    matrix: (&[f32], Columns),
    out: &mut [f32],
) {
    let rows = Whole::<W>::of(matrix);
    let [mut first, mut second, mut third, mut fourth] = [[0.0; W]; 4];
    let (fours, few) = nodes.as_chunks();
    let (weights, few_weights) = weights.as_chunks();
    for (&[a, b, c, d], &[by_a, by_b, by_c, by_d]) in fours.iter().zip(weights) {
        add(&mut first, &rows.get(a), by_a);
        add(&mut second, &rows.get(b), by_b);
        add(&mut third, &rows.get(c), by_c);
        add(&mut fourth, &rows.get(d), by_d);
    }
    for (&node, weight) in few.iter().zip(few_weights) {
        add(&mut first, &rows.get(node), *weight);
    }
    add_fours([first, second, third, fourth], out);
}

#[inline(always)]
fn add_fours<const W: usize>([a, b, c, d]: [[f32; W]; 4], out: &mut [f32]) {
    for (k, out) in out.iter_mut().enumerate() {
        *out += (a[k] + b[k]) + (c[k] + d[k]);
    }
}

/// `out += Σ_k weights[k]·row(nodes[k])` and `products[k] += ⟨own, row(nodes[k])⟩`, each row being
/// read once. For loops that are vectorized.
#[inline(always)]
pub(crate) fn add_weighted_rows_and_products(
    edges: (&[u32], &[f32]),
    (matrix, columns): (&[f32], Columns),
    own: &[f32],
    (out, products): (&mut [f32], &mut [f32]),
) {
    let mut done = 0;
    while done < columns.width {
        let rest = columns.width - done;
        let (own, out) = (&own[done..], &mut out[done..]);
        done += match rest {
            WIDE.. => {
                let matrix = (matrix, columns.stretch(done, WIDE));
                let out = (&mut out[..WIDE], &mut *products);
                add_both::<WIDE>(edges, matrix, &own[..WIDE], out);
                WIDE
            }
            NARROW.. => {
                let matrix = (matrix, columns.stretch(done, NARROW));
                let out = (&mut out[..NARROW], &mut *products);
                add_both_by_fours::<NARROW>(edges, matrix, &own[..NARROW], out);
                NARROW
            }
            _ => {
                let matrix = (matrix, columns.stretch(done, rest));
                add_both::<NARROW>(edges, matrix, own, (out, &mut *products));
                rest
            }
        };
    }
}

#[inline(always)]
fn add_both<const W: usize>(
    (nodes, weights): (&[u32], &[f32]),
    matrix: (&[f32], Columns),
    own: &[f32],
    (out, products): (&mut [f32], &mut [f32]),
) {
    let (rows, own) = (Whole::<W>::of(matrix), padded(own));
    let mut sum = padded(out);
    for ((&node, weight), product) in nodes.iter().zip(weights).zip(products) {
        *product += add_and_multiply(&mut sum, &rows.get(node), *weight, &own);
    }
    out.copy_from_slice(&sum[..out.len()]);
}

#[inline(always)]
fn add_both_by_fours<const W: usize>(
    (nodes, weights): (&[u32], &[f32]),
    matrix: (&[f32], Columns),
    own: &[f32],
    (out, products): (&mut [f32], &mut [f32]),
) {
    let (rows, own) = (Whole::<W>::of(matrix), padded(own));
    let [mut first, mut second, mut third, mut fourth] = [[0.0; W]; 4];
    let (fours, few) = nodes.as_chunks();
    let (weights, few_weights) = weights.as_chunks();
    let (products, few_products) = products.as_chunks_mut();
    for ((&[a, b, c, d], &[by_a, by_b, by_c, by_d]), products) in
        fours.iter().zip(weights).zip(products)
    {
        let found = [
            add_and_multiply(&mut first, &rows.get(a), by_a, &own),
            add_and_multiply(&mut second, &rows.get(b), by_b, &own),
            add_and_multiply(&mut third, &rows.get(c), by_c, &own),
            add_and_multiply(&mut fourth, &rows.get(d), by_d, &own),
        ];
        let products: &mut [f32; 4] = products;
        products
            .iter_mut()
            .zip(found)
            .for_each(|(product, x)| *product += x);
    }
    for ((&node, weight), product) in few.iter().zip(few_weights).zip(few_products) {
        *product += add_and_multiply(&mut first, &rows.get(node), *weight, &own);
    }
    add_fours([first, second, third, fourth], out);
}

#[inline(always)]
fn add_and_multiply<const W: usize>(
    sum: &mut [f32; W],
    row: &[f32; W],
    weight: f32,
    own: &[f32; W],
) -> f32 {
    add(sum, row, weight);
    dot(own, row)
}

#[inline(always)]
fn add<const W: usize>(sum: &mut [f32; W], row: &[f32; W], weight: f32) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum += weight * x;
    }
}

/// Rows, known to be whole where the columns are all that there are: such are found soonest.
#[derive(Clone, Copy)]
enum Whole<'a, const W: usize> {
    Rows(&'a [[f32; W]]),
    Parts(&'a [f32], Columns),
}

impl<'a, const W: usize> Whole<'a, W> {
    #[inline(always)]
    fn of((matrix, columns): (&'a [f32], Columns)) -> Self {
        match (columns.stride, columns.width) == (W, W) {
            true => Self::Rows(matrix.as_chunks().0),
            false => Self::Parts(matrix, columns),
        }
    }

    #[inline(always)]
    fn get(self, node: u32) -> [f32; W] {
        match self {
            Self::Rows(rows) => rows[node as usize],
            Self::Parts(matrix, columns) => padded(columns.of(matrix, node as usize)),
        }
    }
}

/// A row that may be shorter than `W`, with zeros behind it.
#[inline(always)]
fn padded<const W: usize>(row: &[f32]) -> [f32; W] {
    match <&[f32; W]>::try_from(row) {
        Ok(row) => *row,
        Err(_) => {
            let mut padded = [0.0; W];
            padded[..row.len()].copy_from_slice(row);
            padded
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_kernels::vectorize;

    use super::*;

    #[test]
    fn sums_and_products_are_those_of_plain_loops_at_any_width() {
        let nodes = [2, 0, 2, 1, 3, 0, 1, 1, 3];
        let weights = [0.5, -1.0, 2.0, 0.25, 1.0, 3.0, -0.75, 0.125, 1.5];
        for width in [1, 6, 15, 16, 17, 48, 64, 70, 128, 147] {
            let columns = Columns {
                stride: width + 3,
                start: 2,
                width,
            };
            let matrix: Vec<f32> = (0..4 * (width + 3)).map(|at| (at as f32).sin()).collect();
            let own: Vec<f32> = (0..width).map(|at| (at as f32).cos()).collect();
            let mut expected = vec![1.0f64; width];
            let mut of_nodes = Vec::new();
            for (&node, weight) in nodes.iter().zip(weights) {
                let row = columns.of(&matrix, node as usize);
                let mut product = 1.0;
                for (column, &x) in row.iter().enumerate() {
                    expected[column] += f64::from(weight) * f64::from(x);
                    product += f64::from(own[column]) * f64::from(x);
                }
                of_nodes.push(product);
            }
            let (mut sums, mut both) = (vec![1.0; width], vec![1.0; width]);
            let mut products = [1.0; 9];
            let (edges, matrix) = ((&nodes[..], &weights[..]), (&matrix[..], columns));
            vectorize(
                #[inline(always)]
                || {
                    add_weighted_rows(edges, matrix, &mut sums);
                    add_weighted_rows_and_products(edges, matrix, &own, (&mut both, &mut products));
                },
            );
            assert_eq!(sums, both);
            for (found, expected) in sums.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-5, "{width}");
            }
            for (found, expected) in products.iter().zip(&of_nodes) {
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{width}");
            }
        }
    }
}
