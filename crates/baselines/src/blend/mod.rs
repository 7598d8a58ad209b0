//! Several models as one.

mod file;
mod ranker;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use mmdlrm_train::{Error, Ranker, Result};

pub use file::BlendFile;

/// The weighted mean of what several models say: of their scores, and of their stars where
/// all of them predict stars (linear stacking: Breiman, 1996; Koren, Bell and Volinsky, 2009,
/// blend a hundred).
///
/// With the scores `q_k` of each part, `[who, items]`, its weight `w_k`, and `W_k = w_0 + … + w_k`:
///
/// ```text
/// p = Σ w_k·q_k / Σ w_k        as   p ← q_0,   p ← p + (w_k / W_k)·(q_k − p)   for k = 1, 2, …
/// ```
///
/// Stars are blended as they go on past the ends of their scale, and kept within it after;
/// those for a new movie within it already. Scores should be of one unit. Somebody new is met
/// by each part. Reasons are the parts' own, scaled by their weights, those of one name added
/// up. What ratings [add](Ranker::because) is what they add by those parts that can tell, scaled by
/// the parts' weights; what a rating takes away by one part is not taken off what it adds by
/// another. Vectors of items are those of the first part that has any. What one part cannot tell
/// (stars, reasons, newcomers) the blend cannot.
///
/// `P` points to the parts: `Arc<dyn Ranker>`, `&dyn Ranker`, a `Box`.
///
/// ```
/// use mmdlrm_baselines::{Blend, GaussianProcess, GaussianProcessConfig};
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::Dataset;
/// use mmdlrm_train::{Fit, Ranker, Session, Who, measure};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// # generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let fit = |timestamps| {
///     GaussianProcessConfig { timestamps }.fit(&dataset, Session::default())
/// };
/// let (timeless, timed) = (fit(false)?, fit(true)?);
/// let blend = Blend::new([(1.0, &timeless), (3.0, &timed)])?;
///
/// let score = |model: &dyn Ranker| {
///     let mut scores = Vec::new();
///     model.score(Who::Users(&[0]), &mut scores).map(|()| scores[7])
/// };
/// let mean = 0.25 * score(&timeless)? + 0.75 * score(&timed)?;
/// assert!((score(&blend)? - mean).abs() < 1e-6);
/// assert!(measure(&blend, &dataset)?.test_rmse < Some(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Blend<P = Arc<dyn Ranker>> {
    parts: Vec<Member<P>>,
}

#[derive(Clone)]
struct Member<P> {
    model: P,
    /// Of the whole, `w_k / Σ w`.
    weight: f32,
    /// Of the parts so far, `w_k / W_k`.
    share: f32,
}

impl<P: Deref<Target: Ranker>> Blend<P> {
    /// Of parts with their weights, in this order; the weights need not add up to 1.
    ///
    /// # Errors
    /// No part, a weight that is negative or no number, or none above 0.
    pub fn new(parts: impl IntoIterator<Item = (f64, P)>) -> Result<Self> {
        let parts: Vec<(f64, P)> = parts.into_iter().collect();
        let total = parts.iter().fold(0.0, |sum, (weight, _)| sum + weight);
        let is_sound = |weight: &f64| *weight >= 0.0 && weight.is_finite();
        let refused = |value: f64, rule| {
            Err(Error::Setting {
                setting: "weight in a blend",
                value: value.to_string(),
                rule,
            })
        };
        if let Some((weight, _)) = parts.iter().find(|(weight, _)| !is_sound(weight)) {
            return refused(*weight, "it must be a number from 0 on");
        }
        if !(total > 0.0 && total.is_finite()) {
            return refused(total, "all of them must add up to a number above 0");
        }
        let mut so_far = 0.0;
        let parts = parts.into_iter().map(|(weight, model)| {
            so_far += weight;
            Member {
                model,
                weight: (weight / total) as f32,
                // Of nothing so far, none.
                share: if so_far > 0.0 { weight / so_far } else { 0.0 } as f32,
            }
        });
        Ok(Self {
            parts: parts.collect(),
        })
    }

    /// Its parts, each with its share of the whole.
    pub fn parts(&self) -> impl Iterator<Item = (f32, &P::Target)> {
        self.parts.iter().map(|part| (part.weight, &*part.model))
    }

    /// Blends what each part writes.
    fn blend(
        &self,
        out: &mut Vec<f32>,
        mut write: impl FnMut(usize, &P::Target, &mut Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let mut of_part = Vec::new();
        for (number, Member { model, share, .. }) in self.parts.iter().enumerate() {
            if number == 0 {
                write(number, model, out)?;
                continue;
            }
            write(number, model, &mut of_part)?;
            mix(*share, out, &of_part)?;
        }
        Ok(())
    }
}

/// `p ← p + share·(q − p)`.
fn mix(share: f32, p: &mut [f32], q: &[f32]) -> Result<()> {
    if p.len() != q.len() {
        return Err(Error::Mismatch(format!(
            "parts of a blend wrote {} numbers and {}: they are of different data",
            p.len(),
            q.len()
        )));
    }
    p.iter_mut()
        .zip(q)
        .for_each(|(p, q)| *p += share * (q - *p));
    Ok(())
}

impl<P> fmt::Debug for Blend<P> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let weights: Vec<f32> = self.parts.iter().map(|part| part.weight).collect();
        f.debug_struct("Blend")
            .field("weights", &weights)
            .finish_non_exhaustive()
    }
}
