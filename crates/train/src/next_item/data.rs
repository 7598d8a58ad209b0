use std::collections::HashSet;

use mmdlrm_data::{
    Candidates, DataFingerprint, DataPart, IdMap, Interactions, Modality, RatedBag, Split,
};
use mmdlrm_features::{ItemFeatures, Known, Nearness, Sequences};
use mmdlrm_model::{ItemInputs, NextItem, NextItemConfig, NextItemExample, PairFeatures};

use crate::{Error, Result};

/// Ratings of a history that are looked at.
const LONGEST: usize = 100;
/// Moments that are told apart, with as many ratings each.
const MOMENTS: usize = 24;
/// Lengths of a history that are told apart, two to each doubling.
const LENGTHS: usize = 24;

/// Sequences, features and vectors: all that a [`NextItem`] learns from.
#[derive(Debug, Clone)]
pub struct NextItemData {
    nearness: Nearness,
    features: ItemFeatures,
    offsets: Vec<u32>,
    rows: Vec<u32>,
    vectors: Vec<f32>,
    vector: usize,
    moments: Vec<u32>,
}

impl NextItemData {
    /// Finds out whether [`Self::new`] will refuse, at little cost.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(
        data: impl Into<Interactions>,
        split: &Split,
        candidates: &Candidates,
    ) -> Result<()> {
        let catalogue = candidates.movies();
        Nearness::check_items(catalogue.len())?;
        let ratings = data.into().ratings;
        let rows = split.train().iter().map(|&row| row as usize);
        let rows = rows.filter(|&row| catalogue.row(ratings.movie_ids()[row]).is_some());
        let (mut users, mut found) = (HashSet::new(), 0);
        for row in rows {
            found += 1;
            if !users.insert(ratings.user_ids()[row]) {
                return Ok(());
            }
        }
        Err(too_few(found))
    }

    /// Of the training rows of `split`; the catalogue is all movies of
    /// `candidates`. `modalities` become a vector of each item, those it lacks
    /// zeros.
    ///
    /// # Errors
    /// Too many movies, no user with two ratings of them, or a split of other ratings.
    pub fn new(
        data: impl Into<Interactions>,
        split: &Split,
        candidates: &Candidates,
        modalities: &[Modality],
    ) -> Result<Self> {
        let data = data.into();
        let sequences = Sequences::new(&data, split, candidates.movies())?;
        let features = sequences.item_features(&data);
        Self::of(sequences, features, modalities)
    }

    /// The same, to the bit, out of what is known of the data that it was made of; `features`
    /// are those of the items of `catalogue`.
    pub(super) fn of_known(
        known: &Known,
        catalogue: &IdMap,
        features: ItemFeatures,
    ) -> Result<Self> {
        let sequences = Sequences::of_known(known, catalogue)?;
        Self::of(sequences, features, known.features().modalities())
    }

    fn of(sequences: Sequences, features: ItemFeatures, modalities: &[Modality]) -> Result<Self> {
        if sequences.places(0).is_empty() {
            return Err(too_few(sequences.len()));
        }
        let items = sequences.catalogue().len();
        let bags = (0..items as u32).map(|item| features.bags.row(item));
        let mut offsets = vec![0];
        let mut rows = Vec::new();
        for bag in bags {
            rows.extend_from_slice(bag);
            offsets.push(rows.len() as u32);
        }
        let (vectors, vector) = vectors(sequences.catalogue(), modalities);
        Ok(Self {
            moments: sequences.quantiles(MOMENTS),
            nearness: Nearness::fit(sequences, features.years.clone())?,
            features,
            offsets,
            rows,
            vectors,
            vector,
        })
    }

    /// A model of the shape that the data need, with vectors of `dim`.
    ///
    /// # Errors
    /// A `dim` that makes no sense.
    pub fn model(&self, dim: usize, seed: u64) -> Result<NextItem> {
        let config = self.shape(dim);
        Ok(NextItem::new(config, &self.sequences().counts(), seed)?)
    }

    /// The shape that the data need.
    fn shape(&self, dim: usize) -> NextItemConfig {
        let mut config = NextItemConfig::default();
        config.dim = dim;
        config.items = self.sequences().catalogue().len();
        config.features = self.features.rows;
        config.vector = self.vector;
        config.moments = MOMENTS;
        config.lengths = LENGTHS;
        config.pair_features = Nearness::names().len();
        config
    }

    /// Refuses a model of another shape than the data need.
    pub(super) fn check_model(&self, model: &NextItem) -> Result<()> {
        let found = model.config();
        let needed = self.shape(found.dim);
        let sizes = [
            ("items", found.items, needed.items),
            ("features of items", found.features, needed.features),
            ("numbers of an item's contents", found.vector, needed.vector),
            ("moments", found.moments, needed.moments),
            ("lengths of a history", found.lengths, needed.lengths),
            (
                "features of pairs",
                found.pair_features,
                needed.pair_features,
            ),
        ];
        match sizes.into_iter().find(|(_, found, needed)| found != needed) {
            None => Ok(()),
            Some((what, found, needed)) => Err(Error::Mismatch(format!(
                "what comes next is ranked with {found} {what}, and the data have {needed}"
            ))),
        }
    }

    /// What the table of movies says of the items.
    pub(super) fn features(&self) -> &ItemFeatures {
        &self.features
    }

    /// What is learned from.
    pub fn sequences(&self) -> &Sequences {
        self.nearness.sequences()
    }

    /// Which ratings, movies and vectors it is made of.
    pub(super) fn fingerprint(&self) -> DataFingerprint {
        let vectors = DataPart::of_words("vectors", self.vectors.iter().map(|x| x.to_bits()));
        let features = self.offsets.iter().chain(&self.rows).copied();
        let years = self.features.years.iter().map(|year| year.to_bits());
        let features = DataPart::of_words("features of movies", features.chain(years));
        let own: DataFingerprint = [features, vectors].into_iter().collect();
        self.sequences().fingerprint().with(own)
    }

    pub(super) fn inputs(&self) -> ItemInputs<'_> {
        ItemInputs {
            offsets: &self.offsets,
            features: &self.rows,
            vectors: &self.vectors,
        }
    }

    /// Whoever rated `sequence` with the first `place` ratings given.
    pub(super) fn example<'a>(&self, sequence: RatedBag<'a>, place: usize) -> Example<'a> {
        let stars = &sequence.stars[..place];
        let mean = stars.iter().sum::<f32>() / place.max(1) as f32;
        let recent = place.saturating_sub(LONGEST)..place;
        let last = place
            .checked_sub(1)
            .map_or(0, |last| sequence.timestamps[last]);
        let doublings = 2.0 * ((place + 1) as f32).log2();
        Example {
            sequence,
            history: sequence.ids[recent.clone()].iter().rev().copied().collect(),
            deviations: sequence.stars[recent]
                .iter()
                .rev()
                .map(|stars| stars - mean)
                .collect(),
            moment: self.moments.partition_point(|&moment| moment < last) as u32,
            length: (doublings as u32).min(LENGTHS as u32 - 1),
            place,
        }
    }
}

fn too_few(ratings: usize) -> Error {
    Error::Setting {
        setting: "number of training ratings of the candidates' movies",
        value: ratings.to_string(),
        rule: "some user must have two or more",
    }
}

/// Vectors of the items, the modalities side by side.
fn vectors(catalogue: &IdMap, modalities: &[Modality]) -> (Vec<f32>, usize) {
    let width = modalities.iter().map(Modality::width).sum();
    let mut out = vec![0.0; catalogue.len() * width];
    if width == 0 {
        return (out, 0);
    }
    for (&id, out) in catalogue.ids().iter().zip(out.chunks_exact_mut(width)) {
        let mut parts: &mut [f32] = out;
        for modality in modalities {
            let (part, rest) = parts.split_at_mut(modality.width());
            parts = rest;
            let vector = modality.vector(id).unwrap_or_default();
            for (out, value) in part.iter_mut().zip(vector) {
                *out = value.to_f32();
            }
        }
    }
    (out, width)
}

pub(super) struct Example<'a> {
    pub sequence: RatedBag<'a>,
    history: Vec<u32>,
    deviations: Vec<f32>,
    moment: u32,
    length: u32,
    pub place: usize,
}

/// Examples of a batch, and their features of pairs.
pub(super) struct Examples<'a> {
    pub data: &'a NextItemData,
    pub examples: Vec<Example<'a>>,
}

impl Examples<'_> {
    /// As the model takes them.
    pub fn views(&self, next: impl Fn(&Example<'_>) -> u32) -> Vec<NextItemExample<'_>> {
        let views = self.examples.iter().map(|example| NextItemExample {
            history: &example.history,
            deviations: &example.deviations,
            moment: example.moment,
            length: example.length,
            seen: &example.sequence.ids[..example.place],
            next: next(example),
        });
        views.collect()
    }
}

impl PairFeatures for Examples<'_> {
    fn fill(&self, example: usize, out: &mut [f32]) {
        let Example {
            sequence, place, ..
        } = self.examples[example];
        self.data.nearness.fill(sequence, place, out);
    }
}
