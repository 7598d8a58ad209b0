//! A [`KnnRater`] in a file.
//!
//! | tensor, `f32` | length | |
//! | --- | --- | --- |
//! | `mean` | 1 | `μ`, in stars |
//! | `users`, `movies` | users, movies | `b_u` and `b_i`, in stars |
//! | `similar.lengths` | movies or users | how many candidates each has |
//! | `similar.ids` | candidates | which, the most similar first, as whole numbers |
//! | `similar.values` | candidates | how similar, above 0 |
//!
//! The metadata have the configuration. What the baseline leaves of ratings is made of the
//! histories of the data.

use mmdlrm_data::RatedBags;
use mmdlrm_features::Known;
use mmdlrm_train::{Error, Kept, Persist, Result, Tensors};

use super::similar::Similar;
use super::{KnnRater, KnnRaterConfig, Side, check, compared, deviations, rows};
use crate::biases::Baseline;
use crate::training_ratings::histories;

const LENGTHS: &str = "similar.lengths";
const IDS: &str = "similar.ids";
const VALUES: &str = "similar.values";

impl Persist for KnnRater {
    fn kind() -> &'static str {
        "knn-rater"
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        self.baseline.put(&mut tensors);
        let [lengths, ids, values] = self.similar.parts();
        tensors.put(LENGTHS, lengths);
        tensors.put(IDS, ids);
        tensors.put(VALUES, values);
        tensors.to_safetensors(&self.config)
    }

    fn load(file: &[u8], known: &Known) -> Result<Self> {
        let (config, kept) = Kept::from_safetensors::<KnnRaterConfig>(file)?;
        let features = known.features();
        let (users, movies) = (features.users().len(), features.movies().len());
        check(users, movies, &config)?;
        let baseline = Baseline::load(&kept, features)?;
        let (lengths, ids, values) = (kept.get(LENGTHS)?, kept.get(IDS)?, kept.get(VALUES)?);
        let count = match config.side {
            Side::Items => movies,
            Side::Users => users,
        };
        let similar = Similar::from_parts(lengths, ids, values, count).ok_or_else(|| {
            let problem = "similarities in the model's file are damaged, or of other data";
            Error::Mismatch(problem.to_owned())
        })?;
        let histories = histories(known, false)?;
        let deviations = deviations(&histories, &baseline);
        let compared = compared(&histories, &deviations, &config);
        let audiences = RatedBags::of_movies(movies, rows(compared));
        Ok(Self {
            audiences: (config.side == Side::Users).then_some(audiences),
            config,
            baseline,
            deviations,
            similar,
        })
    }
}
