//! A [`Blend`] behind the seam.

use std::ops::Deref;
use std::sync::atomic::AtomicBool;

use mmdlrm_data::{Batch, Rated};
use mmdlrm_features::NewMovie;
use mmdlrm_train::{
    Cause, Error, Ranker, RateNewcomer, Rater, Result, Share, Visitor, Who, causes_of,
    keep_within_bounds, shares_of,
};

use super::{Blend, mix};

/// Who is asked about, as one part knows them.
fn as_part_knows(who: Who<'_>, part: usize) -> Result<Who<'_>> {
    match who {
        Who::Users(users) => Ok(Who::Users(users)),
        Who::Visitor(visitor) => {
            let of_parts: &Vec<Visitor> = visitor.state()?;
            let of_part = of_parts.get(part).map(Who::Visitor);
            of_part.ok_or_else(|| Error::Mismatch("another blend met the visitor".to_owned()))
        }
    }
}

fn rater<M: Ranker + ?Sized>(model: &M) -> Result<&dyn Rater> {
    let rater = model.rater();
    rater.ok_or_else(|| Error::Mismatch("a part of the blend predicts no stars".to_owned()))
}

impl<P: Deref<Target: Ranker> + Send + Sync> Ranker for Blend<P> {
    fn parameters(&self) -> usize {
        self.parts().map(|(_, model)| model.parameters()).sum()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        self.blend(scores, |part, model, out| {
            model.score(as_part_knows(who, part)?, out)
        })
    }

    fn meet(&self, ratings: &[Rated], stop: Option<&AtomicBool>) -> Result<Visitor> {
        let of_parts = self.parts().map(|(_, model)| model.meet(ratings, stop));
        let of_parts: Vec<Visitor> = of_parts.collect::<Result<_>>()?;
        Ok(Visitor::new(ratings.to_vec(), of_parts))
    }

    fn rater(&self) -> Option<&dyn Rater> {
        let all_rate = self.parts().all(|(_, model)| model.rater().is_some());
        all_rate.then_some(self)
    }

    fn explain(&self, who: Who, items: &[u32]) -> Result<Option<Vec<Vec<Share>>>> {
        let mut blended: Vec<Vec<Share>> = vec![Vec::new(); items.len()];
        for (part, (weight, model)) in self.parts().enumerate() {
            let Some(of_part) = shares_of(model, as_part_knows(who, part)?, items)? else {
                return Ok(None);
            };
            for (blended, shares) in blended.iter_mut().zip(of_part) {
                shares
                    .into_iter()
                    .for_each(|share| add(blended, weight, share));
            }
        }
        Ok(Some(blended))
    }

    fn because(&self, who: Who, items: &[u32], count: usize) -> Result<Option<Vec<Vec<Cause>>>> {
        let mut blended: Option<Vec<Vec<Cause>>> = None;
        for (part, (weight, model)) in self.parts().enumerate() {
            // All that a part has: what two parts know of adds up.
            let who = as_part_knows(who, part)?;
            let Some(of_part) = causes_of(model, who, items, usize::MAX)? else {
                continue;
            };
            let blended = blended.get_or_insert_with(|| vec![Vec::new(); items.len()]);
            for (blended, causes) in blended.iter_mut().zip(of_part) {
                let causes = causes.into_iter().map(|Cause { item, amount }| Cause {
                    item,
                    amount: weight * amount,
                });
                blended.extend(causes);
            }
        }
        Ok(blended.map(|blended| {
            let of_item = |causes| Cause::strongest(added_up(causes), count);
            blended.into_iter().map(of_item).collect()
        }))
    }

    fn item_vectors(&self) -> Result<Option<Vec<f32>>> {
        for (_, model) in self.parts() {
            if let Some(vectors) = model.item_vectors()? {
                return Ok(Some(vectors));
            }
        }
        Ok(None)
    }

    fn newcomer(&self, movie: &NewMovie) -> Result<Option<RateNewcomer<'_>>> {
        let of_parts = self.parts.iter().map(|part| {
            let of_part = part.model.newcomer(movie)?;
            Ok(of_part.map(|rate| (part.share, rate)))
        });
        let Some(of_parts) = of_parts.collect::<Result<Option<Vec<_>>>>()? else {
            return Ok(None);
        };
        Ok(Some(Box::new(move |users, stars| {
            let mut of_part = Vec::new();
            for (number, (share, rate)) in of_parts.iter().enumerate() {
                if number == 0 {
                    rate(users, stars)?;
                    continue;
                }
                rate(users, &mut of_part)?;
                mix(*share, stars, &of_part)?;
            }
            Ok(())
        })))
    }
}

/// Causes of one rating as one.
fn added_up(mut causes: Vec<Cause>) -> Vec<Cause> {
    causes.sort_by_key(|cause| cause.item);
    causes.dedup_by(|next, kept| {
        let same = next.item == kept.item;
        if same {
            kept.amount += next.amount;
        }
        same
    });
    causes
}

/// Adds a share, scaled, to that of the same part.
fn add(blended: &mut Vec<Share>, weight: f32, share: Share) {
    let amount = weight * share.amount;
    match blended.iter_mut().find(|it| it.part == share.part) {
        Some(same) => same.amount += amount,
        None => blended.push(Share { amount, ..share }),
    }
}

impl<P: Deref<Target: Ranker> + Send + Sync> Rater for Blend<P> {
    fn rate(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.rate_unbounded(batch, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_items(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.rate_items_unbounded(who, items, stars)?;
        keep_within_bounds(stars);
        Ok(())
    }

    fn rate_unbounded(&self, batch: &Batch, stars: &mut Vec<f32>) -> Result<()> {
        self.blend(stars, |_, model, out| {
            rater(model)?.rate_unbounded(batch, out)
        })
    }

    fn rate_items_unbounded(&self, who: Who, items: &[u32], stars: &mut Vec<f32>) -> Result<()> {
        self.blend(stars, |part, model, out| {
            let who = as_part_knows(who, part)?;
            rater(model)?.rate_items_unbounded(who, items, out)
        })
    }
}
