//! Movies for users as a DLRM takes them.

use mmdlrm_data::{Batch, BatchSchema, Column, ColumnField, ColumnKind, Modality, Rated};
use mmdlrm_features::Features;
use mmdlrm_model::{BottomConfig, DlrmConfig, Pooling, Side, TableConfig};
use mmdlrm_train::{GENRE_TABLE, Result, shapes};

use super::task::Proposed;

/// Name of the column of what is known of user and movie.
const AFFINITY: &str = "affinity";
/// Standard deviations beyond which a feature is taken to be no further.
const FURTHEST: f32 = 6.0;
/// Width of the hidden layers.
const HIDDEN: usize = 32;
const DROPOUT: f32 = 0.1;

/// What is taken off each feature, and what it is divided by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scales {
    pub means: Vec<f32>,
    pub deviations: Vec<f32>,
}

impl Scales {
    /// Of rows of `width` features.
    pub fn of<'a>(width: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let count = rows.clone().count().max(1) as f64;
        let mut means = vec![0.0f64; width];
        for row in rows.clone() {
            means
                .iter_mut()
                .zip(row)
                .for_each(|(sum, &x)| *sum += f64::from(x) / count);
        }
        let mut squares = vec![0.0f64; width];
        for row in rows {
            let of_row = row.iter().zip(&means);
            for (sum, (&x, mean)) in squares.iter_mut().zip(of_row) {
                *sum += (f64::from(x) - mean).powi(2) / count;
            }
        }
        Self {
            means: means.iter().map(|&mean| mean as f32).collect(),
            // One that says nothing stays 0.
            deviations: squares
                .iter()
                .map(|&it| it.sqrt().max(1e-6) as f32)
                .collect(),
        }
    }

    fn apply(&self, row: &mut [f32]) {
        let scales = self.means.iter().zip(&self.deviations);
        for (x, (mean, deviation)) in row.iter_mut().zip(scales) {
            *x = ((*x - mean) / deviation).clamp(-FURTHEST, FURTHEST);
        }
    }
}

/// What a DLRM looks at: features of user and movie, the movie's genres, and, in towers, its
/// vectors.
pub(super) struct Inputs {
    pub names: Vec<String>,
    pub has_towers: bool,
}

impl Inputs {
    /// Of these features the modalities that there are towers of.
    pub fn modalities<'a>(&self, features: &'a Features) -> &'a [Modality] {
        match self.has_towers {
            true => features.modalities(),
            false => &[],
        }
    }
}

/// What batches hold.
pub(super) fn schema(features: &Features, inputs: &Inputs) -> Result<BatchSchema> {
    let (users, movies) = (features.users().len(), features.movies().len());
    let own = [
        ColumnField::new(AFFINITY, ColumnKind::dense(inputs.names.iter())),
        ColumnField::new(
            GENRE_TABLE,
            ColumnKind::Bags {
                ids: genres(features),
            },
        ),
    ];
    let vectors = inputs.modalities(features).iter().map(|modality| {
        let width = modality.width();
        ColumnField::new(modality.name(), ColumnKind::Vectors { width })
    });
    Ok(BatchSchema::new(
        users,
        movies,
        own.into_iter().chain(vectors),
    )?)
}

/// The shape of a DLRM.
pub(super) fn shape(features: &Features, inputs: &Inputs, dim: usize) -> DlrmConfig {
    let width = inputs.names.len();
    DlrmConfig {
        dim,
        bottoms: vec![BottomConfig::new(Side::Pair, 0..width, vec![HIDDEN, dim])],
        tables: vec![TableConfig {
            pooling: Pooling::SqrtN,
            ..TableConfig::new(GENRE_TABLE, genres(features), Side::Item)
        }],
        modalities: match inputs.has_towers {
            true => shapes::towers(features, &[dim]),
            false => Vec::new(),
        },
        top: vec![HIDDEN],
        wide: true,
        dropout: DROPOUT,
        zero_output: true,
        ..DlrmConfig::default()
    }
}

fn genres(features: &Features) -> usize {
    features.genre_names().len().max(1)
}

/// A batch of what was proposed to some users, one after another; `relevance` is that of each
/// movie, nothing where there is none to learn from.
pub(super) fn batch(
    features: &Features,
    inputs: &Inputs,
    schema: &BatchSchema,
    scales: &Scales,
    proposed: &[(u32, Proposed)],
    relevance: Vec<f32>,
) -> Batch {
    let rows = proposed.iter().flat_map(|(user, proposed)| {
        proposed.movies.iter().map(|&(movie, _)| Rated {
            user: *user,
            movie,
            stars: 0.0,
            timestamp: 0,
        })
    });
    let rows: Vec<Rated> = rows.collect();
    let width = scales.means.len();
    let values = proposed
        .iter()
        .map(|(_, proposed)| proposed.features.as_slice());
    let mut values: Vec<f32> = values.collect::<Vec<_>>().concat();
    values
        .chunks_exact_mut(width)
        .for_each(|row| scales.apply(row));
    let (mut offsets, mut ids) = (vec![0], Vec::new());
    for row in &rows {
        ids.extend_from_slice(features.genres(row.movie));
        offsets.push(ids.len() as u32);
    }
    let mut columns = vec![
        Column::Dense { width, values },
        Column::Bags { offsets, ids },
    ];
    columns.extend(
        inputs
            .modalities(features)
            .iter()
            .map(|modality| vectors(modality, &rows)),
    );
    let mut batch = Batch::of(&rows).with_columns(schema, columns);
    batch.stars = relevance;
    batch
}

fn vectors(modality: &Modality, rows: &[Rated]) -> Column {
    let row_of_movie = modality.row_of_movie();
    let vectors = rows.iter().map(|row| row_of_movie[row.movie as usize]);
    Column::Vectors(vectors.collect())
}
