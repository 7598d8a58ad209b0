//! Sums over the parts of a batch, some parts at a time.
//!
//! Each part has sums of its own, which are added up in the order of the parts: so a
//! total does not depend on who computed what. A wave of parts is computed and added
//! before the next begins, so that there are never more sums than a wave has parts,
//! however large the batch is. The total is the same for waves of any length.

use mmdlrm_kernels::{add_scaled, vectorize};
use rayon::prelude::*;

/// Numbers that a thread adds up without asking for help.
const SHARE: usize = 1 << 15;

/// Parts of a wave: `least`, or one a thread where there are more of these.
pub(crate) fn wave(least: usize) -> usize {
    rayon::current_num_threads().max(least)
}

/// Adds `parts`, each as long as `total`, one after the other.
pub(crate) fn add_in_order(total: &mut [f32], parts: &[&[f32]]) {
    let add = |(number, total): (usize, &mut [f32])| {
        for part in parts {
            vectorize(
                #[inline(always)]
                || add_scaled(total, &part[number * SHARE..], 1.0),
            );
        }
    };
    match total.len() <= SHARE {
        // Handing it to other threads would take longer.
        true => add((0, total)),
        false => total.par_chunks_mut(SHARE).enumerate().for_each(add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_added_in_their_order() {
        // Of three numbers of which each order of adding has a sum of its own.
        for length in [1, SHARE, 3 * SHARE + 5] {
            let parts = [1e8f32, 3.0, -1e8].map(|x| vec![x; length]);
            let mut total = vec![5.0f32; length];
            add_in_order(&mut total, &parts.each_ref().map(Vec::as_slice));
            let expected = ((5.0f32 + 1e8) + 3.0) - 1e8;
            assert_eq!(total, vec![expected; length]);
        }
    }
}
