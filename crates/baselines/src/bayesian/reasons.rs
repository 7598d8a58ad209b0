//! What ratings add to a score.

use mmdlrm_data::RatedBag;
use mmdlrm_train::Cause;

use super::fold_in::FoldIn;
use super::samples::Samples;

impl Samples {
    /// What each item that somebody rated adds to the scores of others, takes away from them, or
    /// neither. With `φ` and `y` of [`FoldIn`], and its matrix `C = (α·Σ φ·φᵀ + Λ)⁻¹`, a rating of
    /// item `i` adds to the score of item `j`, in each draw,
    ///
    /// ```text
    /// α·⟨φ_j, C·φ_i⟩·y_i + x·(w_i + ⟨v_i, Q_j⟩)
    /// ```
    ///
    /// whose second part, what `i` is in a history, is there with histories. All of them and what
    /// holds of anybody with this history add up to the score of a visitor.
    pub fn causes(&self, bag: RatedBag, items: &[u32]) -> Vec<Vec<Cause>> {
        let mut sums = vec![vec![0.0; bag.len()]; items.len()];
        let mut fold_in = FoldIn::new(self.rank);
        for stretch in 0..self.over() {
            fold_in.meet(self, bag, stretch);
            self.add_causes(&mut fold_in, bag, items, stretch, &mut sums);
        }
        let causes = sums.iter().map(|sums| {
            let amounts = sums.iter().map(|sum| (sum / self.over() as f64) as f32);
            let amounts = bag.ids.iter().zip(amounts);
            let mut causes: Vec<Cause> = Vec::with_capacity(bag.len());
            for (&item, amount) in amounts {
                match causes.last_mut().filter(|last| last.item == item) {
                    Some(twice) => twice.amount += amount,
                    None => causes.push(Cause { item, amount }),
                }
            }
            causes
        });
        causes.collect()
    }

    /// Adds those of one draw, `[items, ratings]`.
    fn add_causes(
        &self,
        fold_in: &mut FoldIn,
        bag: RatedBag,
        items: &[u32],
        stretch: usize,
        sums: &mut [Vec<f64>],
    ) {
        let alpha = f64::from(self.prior(stretch).0);
        // φ·y of each rating, [ratings, k + 1].
        let mut rated = Vec::with_capacity(bag.len() * (self.rank + 1));
        for (item, stars) in bag.stars_by_id() {
            let target = fold_in.look_at(self, item, stars, stretch);
            rated.extend(fold_in.phi().iter().map(|phi| phi * target));
        }
        for (&item, sums) in items.iter().zip(sums) {
            let factors = &self.items.factors[item as usize * self.width()..];
            let factors = &factors[stretch * self.rank..][..self.rank];
            fold_in.turn_to(factors);
            let mut inverse = fold_in.phi().to_vec();
            fold_in.invert(&mut inverse);
            let rated = rated.chunks_exact(self.rank + 1);
            for (sum, rated) in sums.iter_mut().zip(rated) {
                let product = rated.iter().zip(&inverse).map(|(x, y)| x * y);
                *sum += alpha * product.sum::<f64>();
            }
            self.add_histories(bag, factors, stretch, sums);
        }
    }

    /// Adds what each item is in a history.
    fn add_histories(&self, bag: RatedBag, factors: &[f32], stretch: usize, sums: &mut [f64]) {
        let Some(histories) = &self.histories else {
            return;
        };
        let scale = (bag.len() as f64).sqrt().recip();
        let mut last = None;
        for (&item, sum) in bag.ids.iter().zip(sums) {
            if last.replace(item) == Some(item) {
                continue;
            }
            let (bias, weights) = self.draw(histories, item, stretch);
            let products = weights.iter().zip(factors);
            let products = products.map(|(&v, &q)| f64::from(v) * f64::from(q));
            *sum += scale * (bias + products.sum::<f64>());
        }
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::RatedBags;

    use super::*;
    use crate::bayesian::BayesianConfig;
    use crate::bayesian::chain::Chain;
    use crate::bayesian::naive;

    /// What an item scores with anybody who has this history, whatever stars are in it.
    fn of_anybody(samples: &Samples, bag: RatedBag, item: u32) -> f64 {
        let mut fold_in = FoldIn::new(samples.rank);
        let mut sum = 0.0;
        for stretch in 0..samples.over() {
            fold_in.meet(samples, bag, stretch);
            let x = 1.0 / (bag.len() as f64).sqrt();
            let mut own = bag.ids.to_vec();
            own.dedup();
            sum += fold_in.base();
            if let Some(histories) = &samples.histories {
                let biases = own.iter().map(|&it| samples.draw(histories, it, stretch).0);
                sum -= x * biases.sum::<f64>();
            }
            let (_, means, precisions) = samples.prior(stretch);
            let factors = &samples.items.factors[item as usize * samples.width()..];
            fold_in.turn_to(&factors[stretch * samples.rank..][..samples.rank]);
            let mut inverse = fold_in.phi().to_vec();
            fold_in.invert(&mut inverse);
            for ((&mean, &precision), inverse) in means.iter().zip(precisions).zip(inverse) {
                sum += f64::from(mean) * f64::from(precision) * inverse;
            }
        }
        f64::from(samples.items.biases[item as usize]) + sum / samples.over() as f64
    }

    #[test]
    fn what_ratings_add_and_take_away_adds_up_to_the_score() {
        let rows = naive::rows();
        let histories = RatedBags::of_users(naive::USERS, rows.iter().copied());
        let audiences = RatedBags::of_movies(naive::ITEMS, rows.iter().copied());
        for with_histories in [false, true] {
            let config = BayesianConfig {
                rank: 3,
                histories: with_histories,
                audiences: true,
                ..BayesianConfig::mf()
            };
            let mut chain = Chain::new(&histories, &audiences, &config);
            let mut samples = Samples::new(&chain, 4, 3);
            for stretch in 0..4 {
                for draw in 1..=3 {
                    chain.step();
                    samples.add(&chain, [3 * stretch + draw, draw]);
                }
                samples.end_stretch(&chain);
            }
            // Who rated an item twice.
            let bag = histories.row(rows[0].user);
            let met = samples.meet(bag, None).unwrap();
            let items: Vec<u32> = (0..naive::ITEMS as u32).collect();
            for (&item, causes) in items.iter().zip(samples.causes(bag, &items)) {
                assert_eq!(causes.len() + 1, bag.len());
                let amounts = causes.iter().map(|cause| f64::from(cause.amount));
                let found = of_anybody(&samples, bag, item) + amounts.sum::<f64>();
                let expected = f64::from(samples.predict(&met, 0, item));
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }
}
