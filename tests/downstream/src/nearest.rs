//! A model of somebody else's: items near those that a user rated (Sarwar et al., 2001).

use std::sync::atomic::AtomicBool;

use mmdlrm::data::{Error, Rated};
use mmdlrm::features::{Known, TrainingData};
use mmdlrm::train::{Fit, Kept, Persist, Ranker, Result, Session, Tensors, Visitor, Who};
use serde::Serialize;

/// How it is learned: two items rated by `n` users together are as near as
/// `n / (√(n₁ n₂) + shrinkage)`.
#[derive(Serialize)]
pub struct NearestFit {
    pub shrinkage: f32,
}

pub struct Nearest {
    /// Items that each user rated.
    rated: Vec<Vec<u32>>,
    /// `[items, items]`.
    near: Vec<f32>,
}

impl Fit for NearestFit {
    type Model = Nearest;

    fn fit(&self, data: &dyn TrainingData, _session: Session) -> Result<Nearest> {
        let items = data.features().movies().len();
        let mut rated = vec![Vec::new(); data.features().users().len()];
        data.for_each_user(|user| {
            rated[user.user as usize] = user.trained.ids.to_vec();
            Ok::<_, Error>(())
        })?;
        let mut near = vec![0.0; items * items];
        for of_user in &rated {
            for &a in of_user {
                of_user
                    .iter()
                    .for_each(|&b| near[a as usize * items + b as usize] += 1.0);
            }
        }
        let counts: Vec<f32> = (0..items).map(|item| near[item * items + item]).collect();
        for (a, row) in near.chunks_exact_mut(items).enumerate() {
            for (b, near) in row.iter_mut().enumerate() {
                *near /= (counts[a] * counts[b]).sqrt() + self.shrinkage;
            }
            row[a] = 0.0;
        }
        Ok(Nearest { rated, near })
    }
}

impl Ranker for Nearest {
    fn parameters(&self) -> usize {
        self.near.len()
    }

    fn score(&self, who: Who, scores: &mut Vec<f32>) -> Result<()> {
        let of_visitor: Vec<u32>;
        let rated: Vec<&[u32]> = match who {
            Who::Users(users) => users
                .iter()
                .map(|&user| &*self.rated[user as usize])
                .collect(),
            Who::Visitor(visitor) => {
                of_visitor = visitor.ratings().iter().map(|it| it.movie).collect();
                vec![&of_visitor]
            }
        };
        let items = self.near.len().isqrt();
        scores.clear();
        for rated in rated {
            let near = |item: usize| {
                rated
                    .iter()
                    .map(|&it| self.near[it as usize * items + item])
                    .sum::<f32>()
            };
            scores.extend((0..items).map(near));
        }
        Ok(())
    }

    fn meet(&self, ratings: &[Rated], _stop: Option<&AtomicBool>) -> Result<Visitor> {
        Ok(Visitor::new(ratings.to_vec(), ()))
    }
}

impl Persist for Nearest {
    fn kind() -> &'static str {
        "nearest"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        tensors.put("near", &*self.near);
        tensors.to_safetensors(&())
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let ((), kept) = Kept::from_safetensors(file)?;
        let histories = known.histories().trained()?;
        let users = 0..histories.len() as u32;
        Ok(Self {
            rated: users.map(|user| histories.row(user).ids.to_vec()).collect(),
            near: kept.get("near")?.to_vec(),
        })
    }
}
