//! Histories and audiences of the samples of a batch.

use std::collections::HashMap;

use mmdlrm_data::{BatchBags, RatedBag, RatedBags};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which ratings a batch's bags hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    /// Decides which; another for each batch.
    pub seed: u64,
    pub kept: f32,
    pub longest: u32,
}

impl Draw {
    /// The share of a bag that is held, as the highest of the numbers that
    /// ratings draw.
    fn limit(&self, length: usize) -> u64 {
        let share = f64::from(self.kept).min(f64::from(self.longest) / length.max(1) as f64);
        if share >= 1.0 {
            u64::MAX
        } else {
            (share * u64::MAX as f64) as u64
        }
    }

    /// The number that a rating draws.
    fn number(&self, user: u32, movie: u32) -> u64 {
        let key = (u64::from(user) << 32 | u64::from(movie)).to_le_bytes();
        xxh3_64_with_seed(&key, self.seed)
    }
}

/// How bags are read for the samples of a batch.
pub(super) struct Reader<'a, D, P> {
    pub bags: &'a RatedBags,
    /// User and movie of an entry, from bag and id.
    pub pair: fn(u32, u32) -> (u32, u32),
    /// Deviation of an entry, from id and stars.
    pub deviation: D,
    /// Where in its bag the own rating of a sample stands.
    pub position: P,
}

/// Gathers the bags of `owners`, one a sample.
pub(super) fn gather<D, P>(
    owners: &[u32],
    shifts: Vec<f32>,
    draw: Draw,
    reader: Reader<D, P>,
) -> BatchBags
where
    D: Fn(u32, f32) -> f64,
    P: Fn(usize, RatedBag) -> Option<usize>,
{
    let mut gathered = BatchBags::default();
    gathered.shifts = shifts;
    gathered.offsets.push(0);
    let mut places: HashMap<u32, u32> = HashMap::with_capacity(owners.len());
    // Where each entry stands in its whole bag.
    let mut original: Vec<u32> = Vec::new();
    for (sample, &owner) in owners.iter().enumerate() {
        let bag = reader.bags.row(owner);
        let next = gathered.bags() as u32;
        let place = *places.entry(owner).or_insert(next);
        if place == next {
            let limit = draw.limit(bag.len());
            for (at, (&id, &stars)) in bag.ids.iter().zip(bag.stars).enumerate() {
                let (user, movie) = (reader.pair)(owner, id);
                if limit == u64::MAX || draw.number(user, movie) <= limit {
                    gathered.ids.push(id);
                    gathered
                        .deviations
                        .push((reader.deviation)(id, stars) as f32);
                    original.push(at as u32);
                }
            }
            gathered.offsets.push(gathered.ids.len() as u32);
        }
        let span = gathered.offsets[place as usize] as usize
            ..gathered.offsets[place as usize + 1] as usize;
        let own = (reader.position)(sample, bag).and_then(|own| {
            let found = original[span.clone()].binary_search(&(own as u32)).ok()?;
            Some((span.start + found) as u32)
        });
        gathered.bag_of.push(place);
        gathered.left_out.push(own.unwrap_or(BatchBags::WHOLE));
    }
    gathered
}
