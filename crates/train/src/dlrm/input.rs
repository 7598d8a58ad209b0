use mmdlrm_data::{Batch, BatchBags, Modality};
use mmdlrm_features::Features;
use mmdlrm_model::{DlrmConfig, ModalityInput, SharedBags, TableInput, Vectors};

use crate::{Error, Result};

/// The name of a model's table of users, …
pub const USER_TABLE: &str = "user";
/// … of movies …
pub const MOVIE_TABLE: &str = "movie";
/// … and of genres, a bag a movie.
pub const GENRE_TABLE: &str = "genre";
/// The name of a table of movies, of which each user has a bag: those that the user rated; …
pub const HISTORY_TABLE: &str = "history";
/// … the same, times the residuals of the ratings; …
pub const RATED_HISTORY_TABLE: &str = "rated_history";
/// … of a table of users, of which each movie has a bag: those who rated it; …
pub const AUDIENCE_TABLE: &str = "audience";
/// … and the same, times the residuals. All four need data with a
/// [context](mmdlrm_features::ContextConfig).
pub const RATED_AUDIENCE_TABLE: &str = "rated_audience";

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
    History { rated: bool },
    Audience { rated: bool },
}

/// Vectors, `[dim]`, that stand in place of a row of the table of users, or of movies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub user: Option<&'a [f32]>,
    pub movie: Option<&'a [f32]>,
}

impl<'a> Wiring<'a> {
    pub fn new(config: &DlrmConfig, features: &'a Features) -> Result<Self> {
        let found = features.dense_names().len();
        if config.dense_features() != found {
            return Err(Error::Mismatch(format!(
                "the model takes {} dense features, the data has {found}",
                config.dense_features(),
            )));
        }
        let tables = config
            .tables
            .iter()
            .map(|table| {
                let (users, movies) = (features.users().len(), features.movies().len());
                let of_context = |column, rows| match features.has_context() {
                    true => Ok((column, rows)),
                    false => Err(Error::Mismatch(format!(
                        "table '{}' needs data with a context, Dataset::with_context",
                        table.name
                    ))),
                };
                let (column, rows) = match table.name.as_str() {
                    USER_TABLE => (Column::Users, users),
                    MOVIE_TABLE => (Column::Movies, movies),
                    HISTORY_TABLE => of_context(Column::History { rated: false }, movies)?,
                    RATED_HISTORY_TABLE => of_context(Column::History { rated: true }, movies)?,
                    AUDIENCE_TABLE => of_context(Column::Audience { rated: false }, users)?,
                    RATED_AUDIENCE_TABLE => of_context(Column::Audience { rated: true }, users)?,
                    GENRE_TABLE => (Column::Genres, features.genre_names().len()),
                    other => {
                        return Err(Error::Mismatch(format!(
                            "the model has a table '{other}', the data only 'user', 'movie', 'genre', \
                             'history', 'rated_history', 'audience' and 'rated_audience'"
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
    pub fn with<T>(&self, batch: &Batch, use_input: impl FnOnce(&mmdlrm_model::Inputs) -> T) -> T {
        self.with_given(Given::default(), batch, use_input)
    }

    /// The same for the only user or the only movie of a batch, whom the model's table does
    /// not know.
    pub fn with_given<T>(
        &self,
        given: Given,
        batch: &Batch,
        use_input: impl FnOnce(&mmdlrm_model::Inputs) -> T,
    ) -> T {
        // The only user is in row 0; the only movie stands behind all others.
        let first = given.movie.map_or(Vec::new(), |_| vec![0; batch.len()]);
        let bags: Vec<TableInput> = self
            .tables
            .iter()
            .map(|column| match column {
                Column::Users => single(given.user, &batch.users, &batch.users),
                Column::Movies => single(given.movie, &batch.movies, &first),
                Column::Genres => TableInput::Lists {
                    offsets: &batch.genre_offsets,
                    ids: &batch.genre_ids,
                },
                &Column::History { rated } => TableInput::Shared(shared(&batch.histories, rated)),
                &Column::Audience { rated } => TableInput::Shared(shared(&batch.audiences, rated)),
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
        use_input(&mmdlrm_model::Inputs {
            dense: &batch.dense,
            tables: &bags,
            modalities: &modalities,
        })
    }
}

/// A row of each sample, `rows`, or of vectors that are given, `given_rows`.
fn single<'a>(given: Option<&'a [f32]>, rows: &'a [u32], given_rows: &'a [u32]) -> TableInput<'a> {
    match given {
        None => TableInput::Single(rows),
        Some(vectors) => TableInput::Given {
            vectors,
            rows: given_rows,
        },
    }
}

fn shared(bags: &BatchBags, rated: bool) -> SharedBags<'_> {
    SharedBags {
        bag_of: &bags.bag_of,
        offsets: &bags.offsets,
        ids: &bags.ids,
        weights: rated.then_some(&bags.deviations),
        shifts: rated.then_some(&bags.shifts),
        left_out: &bags.left_out,
    }
}

const _: () = assert!(
    BatchBags::WHOLE == SharedBags::WHOLE,
    "both crates mark a whole bag alike"
);
const _: () = assert!(
    Modality::MISSING == ModalityInput::MISSING,
    "both crates mark a missing vector alike"
);
