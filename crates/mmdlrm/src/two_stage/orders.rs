//! The second stage: a DLRM that puts in order what was proposed.

use mmdlrm_features::Features;
use mmdlrm_model::Dlrm;
use mmdlrm_train::{Error, Kept, ListScorer, Result, Tensors};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::columns::{self, Inputs, Scales};
use super::task::Proposed;

/// Names of the tensors of scales.
const MEANS: &str = "means";
const DEVIATIONS: &str = "deviations";

/// A trained DLRM, and what its inputs are scaled by.
pub(super) struct Orders {
    pub scales: Scales,
    inputs: Inputs,
    scorer: ListScorer,
}

impl Orders {
    pub fn new(dlrm: Dlrm, scales: Scales, inputs: Inputs, features: &Features) -> Result<Self> {
        let schema = columns::schema(features, &inputs)?;
        let modalities = inputs.modalities(features).to_vec();
        Ok(Self {
            scorer: ListScorer::new(dlrm, schema, modalities)?,
            scales,
            inputs,
        })
    }

    /// The DLRM.
    pub fn dlrm(&self) -> &Dlrm {
        self.scorer.model()
    }

    /// What was proposed to a user, with the scores of this stage.
    pub fn order(
        &self,
        features: &Features,
        user: u32,
        proposed: Proposed,
    ) -> Result<Vec<(u32, f32)>> {
        if proposed.movies.is_empty() {
            return Ok(Vec::new());
        }
        let proposed = [(user, proposed)];
        let (inputs, schema) = (&self.inputs, self.scorer.schema());
        let batch = columns::batch(
            features,
            inputs,
            schema,
            &self.scales,
            &proposed,
            Vec::new(),
        );
        let mut scores = Vec::new();
        self.scorer.score(&batch, &mut scores)?;
        let movies = proposed[0].1.movies.iter().map(|&(movie, _)| movie);
        Ok(movies.zip(scores).collect())
    }
}

impl Scales {
    /// With a setting, as a safetensors file.
    pub fn to_safetensors(&self, setting: &impl Serialize) -> Result<Vec<u8>> {
        let mut tensors = Tensors::default();
        tensors.put(MEANS, self.means.clone());
        tensors.put(DEVIATIONS, self.deviations.clone());
        tensors.to_safetensors(setting)
    }

    /// The inverse, of `width` features.
    pub fn from_safetensors<S: DeserializeOwned>(file: &[u8], width: usize) -> Result<(S, Self)> {
        let (setting, kept) = Kept::from_safetensors(file)?;
        let scales = Self {
            means: kept.get(MEANS)?.to_vec(),
            deviations: kept.get(DEVIATIONS)?.to_vec(),
        };
        if !scales.deviations.iter().all(|&it| it > 0.0) {
            let problem = "the model's file has a deviation that is not above 0";
            return Err(Error::Mismatch(problem.to_owned()));
        }
        if scales.means.len() != width || scales.deviations.len() != width {
            return Err(Error::Mismatch(format!(
                "the model's file has scales of {} and {} features, and there are {width}",
                scales.means.len(),
                scales.deviations.len()
            )));
        }
        Ok((setting, scales))
    }
}
