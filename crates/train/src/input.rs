use mmdlrm_data::{Batch, DENSE_FEATURES, Features, Modality};
use mmdlrm_model::{Bags, DlrmConfig, ModalityInput, Vectors};

use crate::{Error, Result};

/// The name of a model's table of users, movies and genres.
pub(crate) const USER_TABLE: &str = "user";
pub(crate) const MOVIE_TABLE: &str = "movie";
pub(crate) const GENRE_TABLE: &str = "genre";

/// Which column of a data batch feeds which input of a model, checked once.
pub(crate) struct Wiring<'a> {
    tables: Vec<Column>,
    /// For each modality of the model its number in the dataset.
    modalities: Vec<(usize, &'a Modality)>,
}

#[derive(Clone, Copy)]
enum Column {
    Users,
    Movies,
    Genres,
}

impl<'a> Wiring<'a> {
    pub fn new(config: &DlrmConfig, features: &'a Features) -> Result<Self> {
        if config.dense_features() != DENSE_FEATURES.len() {
            return Err(Error::Mismatch(format!(
                "the model takes {} dense features, the data has {}",
                config.dense_features(),
                DENSE_FEATURES.len()
            )));
        }
        let tables = config
            .tables
            .iter()
            .map(|table| {
                let (column, rows) = match table.name.as_str() {
                    USER_TABLE => (Column::Users, features.users().len()),
                    MOVIE_TABLE => (Column::Movies, features.movies().len()),
                    GENRE_TABLE => (Column::Genres, features.genre_names().len()),
                    other => {
                        return Err(Error::Mismatch(format!(
                            "the model has a table '{other}', the data only 'user', 'movie' and 'genre'"
                        )));
                    }
                };
                if table.rows < rows {
                    return Err(Error::Mismatch(format!(
                        "table '{}' has {} rows, the data needs {rows}",
                        table.name, table.rows
                    )));
                }
                Ok(column)
            })
            .collect::<Result<_>>()?;
        let modalities = config
            .modalities
            .iter()
            .map(|wanted| {
                let mut numbered = features.modalities().iter().enumerate();
                numbered
                    .find(|(_, modality)| {
                        modality.name() == wanted.name && modality.width() == wanted.width
                    })
                    .ok_or_else(|| {
                        Error::Mismatch(format!(
                            "the model takes '{}' vectors of {}, which the data lacks",
                            wanted.name, wanted.width
                        ))
                    })
            })
            .collect::<Result<_>>()?;
        Ok(Self { tables, modalities })
    }

    /// The vectors of each modality of the model.
    pub fn vectors(&self) -> Vec<Vectors<'a>> {
        let modalities = self.modalities.iter();
        modalities
            .map(|(_, modality)| modality.values().into())
            .collect()
    }

    /// Hands `use_input` the batch as the model takes it; nothing is copied.
    pub fn with<T>(&self, batch: &Batch, use_input: impl FnOnce(&mmdlrm_model::Batch) -> T) -> T {
        let bags: Vec<Bags> = self
            .tables
            .iter()
            .map(|column| match column {
                Column::Users => Bags::Single(&batch.users),
                Column::Movies => Bags::Single(&batch.movies),
                Column::Genres => Bags::Lists {
                    offsets: &batch.genre_offsets,
                    ids: &batch.genre_ids,
                },
            })
            .collect();
        let modalities: Vec<ModalityInput> = self
            .modalities
            .iter()
            .map(|&(number, modality)| ModalityInput {
                vectors: modality.values().into(),
                rows: &batch.modality_rows[number],
            })
            .collect();
        use_input(&mmdlrm_model::Batch {
            dense: &batch.dense,
            bags: &bags,
            modalities: &modalities,
        })
    }
}

const _: () = assert!(
    Modality::MISSING == ModalityInput::MISSING,
    "both crates mark a missing vector alike"
);
