//! A few linear equations.

/// Replaces the lower triangle of a symmetric positive definite matrix `[n, n]`, whose rows are
/// `width` apart, by that of its Cholesky factor `L`, `L·Lᵀ`.
#[inline(always)]
pub(super) fn factorize(matrix: &mut [f64], n: usize, width: usize) {
    for row in 0..n {
        let (above, own) = matrix.split_at_mut(row * width);
        for column in 0..row {
            let other = &above[column * width..][..=column];
            let known: f64 = own.iter().zip(&other[..column]).map(|(x, y)| x * y).sum();
            own[column] = (own[column] - known) / other[column];
        }
        let known: f64 = own[..row].iter().map(|x| x * x).sum();
        own[row] = (own[row] - known).sqrt();
    }
}

/// `x → (L·Lᵀ)⁻¹·x`.
#[inline(always)]
pub(super) fn solve(factor: &[f64], width: usize, x: &mut [f64]) {
    for row in 0..x.len() {
        let own = &factor[row * width..][..=row];
        let known: f64 = own.iter().zip(&x[..row]).map(|(l, x)| l * x).sum();
        x[row] = (x[row] - known) / own[row];
    }
    for row in (0..x.len()).rev() {
        let own = &factor[row * width..][..=row];
        x[row] /= own[row];
        let (above, own_x) = x.split_at_mut(row);
        above
            .iter_mut()
            .zip(own)
            .for_each(|(x, l)| *x -= own_x[0] * l);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_solved_solves_the_equations() {
        // B·Bᵀ + 1 of any B, rows five apart.
        let b = |row: usize, column: usize| ((row * 7 + column * 3) % 5) as f64 - 2.0;
        let (n, width) = (4, 5);
        let entry = |row: usize, column: usize| {
            let products = (0..3).map(|inner| b(row, inner) * b(column, inner));
            products.sum::<f64>() + f64::from(row == column)
        };
        let mut matrix = vec![9.0; n * width];
        for row in 0..n {
            (0..n).for_each(|column| matrix[row * width + column] = entry(row, column));
        }
        let y = [1.0, -2.0, 3.0, 0.5];
        let mut x = y;
        factorize(&mut matrix, n, width);
        solve(&matrix, width, &mut x);
        for (row, y) in y.iter().enumerate() {
            let found: f64 = (0..n).map(|column| entry(row, column) * x[column]).sum();
            assert!((found - y).abs() < 1e-9, "{found} {y}");
        }
    }
}
