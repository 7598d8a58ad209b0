use std::cmp::Ordering;

/// Scores that are compared with the least of the best at once, before any is looked at.
const BLOCK: usize = 64;
/// Scores that are kept at least before the best of them are chosen.
const FEWEST: usize = 64;

/// The `k` highest of `scores` but those in `excluded`, best first; of equal
/// scores the first comes first, and NaN last.
///
/// One pass, O(n + k log k) whatever the order of the scores: those that are above the `k`-th
/// best so far are collected, and the best `k` of them chosen whenever they are twice as many.
///
/// ```
/// let scores = [0.5, 2.0, 1.0, 2.0];
/// assert_eq!(mmdlrm_model::top_k(&scores, 2, &[1]), [(3, 2.0), (2, 1.0)]);
/// ```
pub fn top_k(scores: &[f32], k: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
    if k == 0 {
        return Vec::new();
    }
    let mut excluded = excluded.to_vec();
    // By a sort that is quick where some of them are in order already, which they often are.
    excluded.sort();
    let mut excluded = excluded.into_iter().peekable();
    let most = k.saturating_mul(2).max(FEWEST);
    let mut best: Vec<(u32, f32)> = Vec::with_capacity(most.min(scores.len()));
    let mut worst = None;
    for (first, block) in (0u32..).step_by(BLOCK).zip(scores.chunks(BLOCK)) {
        if worst.is_some_and(|worst| !any_beats(block, worst)) {
            continue;
        }
        for (item, &score) in (first..).zip(block) {
            if worst.is_some_and(|worst| !beats(score, worst)) {
                continue;
            }
            while excluded.next_if(|&excluded| excluded < item).is_some() {}
            if excluded.peek() == Some(&item) {
                continue;
            }
            best.push((item, score));
            if best.len() == most {
                worst = keep(&mut best, k);
            }
        }
    }
    keep(&mut best, k);
    best.sort_unstable_by(best_first);
    best
}

/// NaN is below all: no comparison with it is true.
fn beats(a: f32, b: f32) -> bool {
    (a > b) | (b.is_nan() & !a.is_nan())
}

/// Goes to the end in any case, some at a time.
fn any_beats(scores: &[f32], worst: f32) -> bool {
    let scores = scores.iter();
    scores.fold(false, |any, &score| any | beats(score, worst))
}

fn best_first(a: &(u32, f32), b: &(u32, f32)) -> Ordering {
    let by_score = beats(b.1, a.1).cmp(&beats(a.1, b.1));
    by_score.then(a.0.cmp(&b.0))
}

/// Keeps the best `k`, in no order; the score of the last of them, if they are so many.
fn keep(best: &mut Vec<(u32, f32)>, k: usize) -> Option<f32> {
    if best.len() <= k {
        return None;
    }
    let (_, &mut (_, worst), _) = best.select_nth_unstable_by(k - 1, best_first);
    best.truncate(k);
    Some(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_found_in_order() {
        let scores = [1.0, f32::NAN, 3.0, 2.0, 3.0];
        assert_eq!(top_k(&scores, 3, &[]), [(2, 3.0), (4, 3.0), (3, 2.0)]);
        assert_eq!(top_k(&scores, 2, &[4, 2]), [(3, 2.0), (0, 1.0)]);
        assert_eq!(top_k(&scores, 0, &[]), []);
        let all = top_k(&scores, 9, &[0]);
        assert_eq!(all.iter().map(|x| x.0).collect::<Vec<_>>(), [2, 4, 3, 1]);
    }

    #[test]
    fn many_are_ranked_as_by_sorting_them_all() {
        let jumble = |at: u32| at.wrapping_mul(2_654_435_761) >> 8;
        let orders: [fn(u32, u32) -> f32; 4] = [
            |at, _| at as f32,
            |at, _| -(at as f32),
            |_, jumbled| (jumbled % 50) as f32,
            |at, jumbled| {
                if at % 7 == 0 {
                    f32::NAN
                } else {
                    jumbled as f32
                }
            },
        ];
        for score in orders {
            let scores: Vec<f32> = (0..3000).map(|at| score(at, jumble(at))).collect();
            let excluded: Vec<u32> = (0..3000).filter(|at| jumble(*at) % 5 == 0).collect();
            let mut all: Vec<(u32, f32)> = (0..).zip(scores.iter().copied()).collect();
            all.retain(|item| !excluded.contains(&item.0));
            all.sort_by(best_first);
            for k in [1, 10, 100, 1000, 5000] {
                let found = top_k(&scores, k, &excluded);
                let bits = |list: &[(u32, f32)]| -> Vec<(u32, u32)> {
                    list.iter().map(|it| (it.0, it.1.to_bits())).collect()
                };
                assert_eq!(bits(&found), bits(&all[..k.min(all.len())]));
            }
        }
    }
}
