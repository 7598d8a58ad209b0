//! Neighbours of a user: searched for when somebody asks, so that nothing is made before.

use super::search::Neighbour;
use crate::incidence::Incidence;

/// `S_uv·X_vj` of the neighbours `v`, summed: `[items]`.
pub(super) fn score(users: &Incidence, neighbours: &[Neighbour], scores: &mut [f32]) {
    scores.fill(0.0);
    for &(likeness, user) in neighbours {
        for &item in users.row(user) {
            scores[item as usize] += likeness;
        }
    }
}

/// What each rating of a history adds to the score of an item: a likeness is a sum over the items
/// that both rated, `1/(√(n_u·n_v) + shrinkage)` each.
pub(super) fn column(
    users: &Incidence,
    neighbours: &[Neighbour],
    history: &[u32],
    item: u32,
) -> Vec<f32> {
    let mut amounts = vec![0.0; history.len()];
    for &(likeness, user) in neighbours {
        let rated = users.row(user);
        if rated.binary_search(&item).is_err() {
            continue;
        }
        let has = |other: &u32| rated.binary_search(other).is_ok();
        let together = history.iter().filter(|other| has(other)).count();
        let share = likeness / together as f32;
        let amounts = amounts.iter_mut().zip(history);
        let amounts = amounts.filter(|(_, other)| has(other));
        amounts.for_each(|(amount, _)| *amount += share);
    }
    amounts
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::{Rated, RatedBags};

    use super::super::search::Search;
    use super::*;
    use crate::KnnConfig;

    #[test]
    fn a_score_is_the_likenesses_of_who_rated_the_item_and_falls_to_what_both_rated() {
        // Users 1 and 2 rated two and one of what user 0 rated, and item 3.
        let rated = [
            (0, 0),
            (0, 1),
            (1, 0),
            (1, 1),
            (1, 3),
            (2, 1),
            (2, 3),
            (3, 2),
        ];
        let rated = rated.map(|(user, movie)| Rated {
            user,
            movie,
            ..Rated::default()
        });
        let histories = RatedBags::of_users(4, rated.into_iter());
        let users = Incidence::of(&histories, 4).unwrap();
        let items = users.transposed(4);
        let config = KnnConfig {
            shrinkage: 1.0,
            ..KnnConfig::users()
        };
        let history = users.row(0);
        let neighbours = Search::new(&items, &users.counts(), &config).nearest(history, Some(0));
        let of = [2.0 / (1.0 + 6.0f32.sqrt()), 1.0 / (1.0 + 2.0)];
        assert_eq!(neighbours, [(of[0], 1), (of[1], 2)]);
        let mut scores = [f32::NAN; 4];
        score(&users, &neighbours, &mut scores);
        assert_eq!(scores, [of[0], of[0] + of[1], 0.0, of[0] + of[1]]);
        let amounts = column(&users, &neighbours, history, 3);
        assert_eq!(amounts, [of[0] / 2.0, of[0] / 2.0 + of[1]]);
        assert_eq!(column(&users, &neighbours, history, 2), [0.0, 0.0]);
    }
}
