use std::borrow::Cow;

use mmdlrm_data::{Batch, BatchBags, BatchSchema, ColumnField, ColumnKind, ColumnView, Modality};
use mmdlrm_features::{Features, TrainingData};
use mmdlrm_model::{
    DlrmConfig, Inputs, ModalityConfig, ModalityInput, SharedBags, TableConfig, TableInput, Vectors,
};

use crate::{Error, Result};

/// The name of a model's table of users, …
pub const USER_TABLE: &str = Batch::USER;
/// … of movies …
pub const MOVIE_TABLE: &str = Batch::MOVIE;
/// … and of genres, a bag a movie.
pub const GENRE_TABLE: &str = Features::GENRE;
/// The name of a table of movies, of which each user has a bag: those that the user rated; …
pub const HISTORY_TABLE: &str = Features::HISTORY;
/// … the same, times the residuals of the ratings; …
pub const RATED_HISTORY_TABLE: &str = "rated_history";
/// … of a table of users, of which each movie has a bag: those who rated it; …
pub const AUDIENCE_TABLE: &str = Features::AUDIENCE;
/// … and the same, times the residuals. All four need data with a
/// [context](mmdlrm_features::ContextConfig).
pub const RATED_AUDIENCE_TABLE: &str = "rated_audience";

/// The tables that need a context.
const OF_CONTEXT: [&str; 4] = [
    HISTORY_TABLE,
    RATED_HISTORY_TABLE,
    AUDIENCE_TABLE,
    RATED_AUDIENCE_TABLE,
];
/// Before the name of a column of shared bags: the same with deviations as weights.
const RATED: &str = "rated_";

/// Which column of a data batch feeds which input of a model, found by name and checked once.
///
/// A table takes the column of ids or bags of its name, or, as `rated_X`, the shared bags `X`
/// with their deviations as weights and their shifts; a modality takes the column of vectors
/// of its name, and the bottom MLPs that of as many dense features as they take.
pub(crate) struct Wiring<'a> {
    schema: BatchSchema,
    /// Where the dense features stand among the columns.
    dense: usize,
    /// For each table of the model.
    tables: Vec<TableSource>,
    /// For each modality of the model the place of its column, and the vectors.
    modalities: Vec<(usize, Vectors<'a>)>,
}

/// Where the bags of a table come from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TableSource {
    Users,
    Movies,
    Column { place: usize, rated: bool },
}

/// Vectors, `[dim]`, that stand in place of a row of the table of users, or of movies.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given<'a> {
    pub user: Option<&'a [f32]>,
    pub movie: Option<&'a [f32]>,
}

impl<'a> Wiring<'a> {
    /// To the batches of `features`.
    pub fn new(config: &DlrmConfig, features: &'a Features) -> Result<Self> {
        // Whoever asks for them is told where they come from.
        let mut tables = config.tables.iter().map(|table| table.name.as_str());
        match tables.find(|name| !features.has_context() && OF_CONTEXT.contains(name)) {
            None => Self::of(config, features.schema(), features.modalities()),
            Some(table) => Err(Error::Mismatch(format!(
                "table '{table}' needs data with a context, Dataset::with_context"
            ))),
        }
    }

    /// To batches of anybody's with this schema, whose columns of vectors refer to
    /// `modalities`.
    pub fn of(
        config: &DlrmConfig,
        schema: &BatchSchema,
        modalities: &'a [Modality],
    ) -> Result<Self> {
        let tables = config.tables.iter();
        let of_model = config.modalities.iter();
        Ok(Self {
            dense: dense(schema, config.dense_features())?,
            tables: tables
                .map(|table| source(schema, table))
                .collect::<Result<_>>()?,
            modalities: of_model
                .map(|wanted| vectors(schema, modalities, wanted))
                .collect::<Result<_>>()?,
            schema: schema.clone(),
        })
    }

    /// The vectors of each modality of the model.
    pub fn vectors(&self) -> Vec<Vectors<'a>> {
        self.modalities
            .iter()
            .map(|&(_, vectors)| vectors)
            .collect()
    }

    /// Hands `use_inputs` the batch as the model takes it; nothing is copied.
    ///
    /// # Errors
    /// A batch with other columns, and what `use_inputs` returns.
    pub fn with<T, E: Into<Error>>(
        &self,
        batch: &Batch,
        use_inputs: impl FnOnce(&Inputs) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.with_given(Given::default(), batch, use_inputs)
    }

    /// The same for the only user or the only movie of a batch, whom the model's table does
    /// not know.
    pub fn with_given<T, E: Into<Error>>(
        &self,
        given: Given,
        batch: &Batch,
        use_inputs: impl FnOnce(&Inputs) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.check_schema(batch)?;
        // The only user is in row 0; the only movie stands behind all others.
        let first = given.movie.map_or(Vec::new(), |_| vec![0; batch.len()]);
        let mut tables = Vec::with_capacity(self.tables.len());
        for source in &self.tables {
            tables.push(match *source {
                TableSource::Users => single(given.user, &batch.users, &batch.users),
                TableSource::Movies => single(given.movie, &batch.movies, &first),
                TableSource::Column { place, rated } => self.table(batch, place, rated)?,
            });
        }
        let mut modalities = Vec::with_capacity(self.modalities.len());
        for &(place, vectors) in &self.modalities {
            let ColumnView::Vectors(rows) = self.column(batch, place)? else {
                return Err(self.other_column(place));
            };
            modalities.push(ModalityInput { vectors, rows });
        }
        let ColumnView::Dense { values: dense, .. } = self.column(batch, self.dense)? else {
            return Err(self.other_column(self.dense));
        };
        use_inputs(&Inputs {
            dense,
            tables: &tables,
            modalities: &modalities,
        })
        .map_err(Into::into)
    }

    /// Places were found in a schema like that of the batch.
    fn check_schema(&self, batch: &Batch) -> Result<()> {
        // Mostly it is the same one, which is seen without a look at its names.
        if *batch.schema() == self.schema {
            return Ok(());
        }
        let (found, expected) = (batch.schema().columns(), self.schema.columns());
        if names(batch.schema()).ne(names(&self.schema)) {
            return Err(Error::Mismatch(format!(
                "the columns of the batch are {}, those of the model's data {}",
                list(names(batch.schema()).map(quoted)),
                list(names(&self.schema).map(quoted))
            )));
        }
        let mut pairs = found.iter().zip(expected);
        match pairs.position(|(found, expected)| !are_alike(&found.kind, &expected.kind)) {
            None => Ok(()),
            Some(place) => Err(Error::Mismatch(format!(
                "column '{}' of the batch is {:?}, that of the model's data {:?}",
                found[place].name, found[place].kind, expected[place].kind
            ))),
        }
    }

    fn table<'b>(&self, batch: &'b Batch, place: usize, rated: bool) -> Result<TableInput<'b>> {
        match self.column(batch, place)? {
            ColumnView::Ids(ids) => Ok(TableInput::Single(ids)),
            ColumnView::Bags { offsets, ids } => Ok(TableInput::Lists { offsets, ids }),
            ColumnView::Shared(bags) => Ok(TableInput::Shared(shared(bags, rated))),
            _ => Err(self.other_column(place)),
        }
    }

    /// A column of a batch with this schema, that holds what the schema says.
    fn column<'b>(&self, batch: &'b Batch, place: usize) -> Result<ColumnView<'b>> {
        let column = batch.columns().get(place).map(|column| column.view());
        let kind = &self.schema.columns()[place].kind;
        match column {
            Some(column) if holds(kind, &column, batch.len()) => Ok(column),
            _ => Err(self.other_column(place)),
        }
    }

    fn other_column(&self, place: usize) -> Error {
        let ColumnField { name, kind, .. } = &self.schema.columns()[place];
        Error::Mismatch(format!(
            "column '{name}' of the batch is not what the schema says, {kind:?}"
        ))
    }
}

/// Whether two columns hold the same, if not of as many ids.
fn are_alike(a: &ColumnKind, b: &ColumnKind) -> bool {
    use ColumnKind::{Bags, Ids, Shared};
    match (a, b) {
        (Ids { .. }, Ids { .. }) | (Bags { .. }, Bags { .. }) | (Shared { .. }, Shared { .. }) => {
            true
        }
        _ => a == b,
    }
}

/// Whether a column is of its kind, and dense features are as many as there should be. All
/// else the model looks at.
fn holds(kind: &ColumnKind, column: &ColumnView, samples: usize) -> bool {
    match (kind, column) {
        (ColumnKind::Ids { .. }, ColumnView::Ids(_))
        | (ColumnKind::Bags { .. }, ColumnView::Bags { .. })
        | (ColumnKind::Shared { .. }, ColumnView::Shared(_))
        | (ColumnKind::Vectors { .. }, ColumnView::Vectors(_)) => true,
        (ColumnKind::Dense { names }, ColumnView::Dense { width, values }) => {
            *width == names.len() && values.len() == width * samples
        }
        _ => false,
    }
}

/// Of the columns, in their order.
fn names(schema: &BatchSchema) -> impl Iterator<Item = &str> + Clone {
    schema.columns().iter().map(|column| column.name.as_str())
}

/// The only column of so many dense features.
fn dense(schema: &BatchSchema, width: usize) -> Result<usize> {
    let columns = schema.columns().iter().enumerate();
    let dense = columns.filter_map(|(place, column)| match &column.kind {
        ColumnKind::Dense { names } => Some((place, column, names.len())),
        _ => None,
    });
    let mut fitting = dense.clone().filter(|&(_, _, found)| found == width);
    match (fitting.next(), fitting.next()) {
        (Some((place, ..)), None) => Ok(place),
        _ => {
            let has = dense.map(|(_, column, width)| format!("{width} in '{}'", column.name));
            Err(Error::Mismatch(format!(
                "the model takes {width} dense features, from a column of so many; the data has {}",
                list(has)
            )))
        }
    }
}

/// The column that a table takes.
fn source(schema: &BatchSchema, table: &TableConfig) -> Result<TableSource> {
    let column = |name: &str| {
        let place = schema.place(name)?;
        Some((place, &schema.columns()[place].kind))
    };
    let name = table.name.as_str();
    let found = match (name, column(name)) {
        (Batch::USER, _) => Some((TableSource::Users, schema.users())),
        (Batch::MOVIE, _) => Some((TableSource::Movies, schema.movies())),
        (_, Some((place, kind))) => {
            let of_column = TableSource::Column {
                place,
                rated: false,
            };
            kind.ids().map(|ids| (of_column, ids))
        }
        (_, None) => match name.strip_prefix(RATED).and_then(column) {
            Some((place, &ColumnKind::Shared { ids })) => {
                Some((TableSource::Column { place, rated: true }, ids))
            }
            _ => None,
        },
    };
    match found {
        None => Err(Error::Mismatch(format!(
            "the model has a table '{name}', the data only {}",
            for_tables(schema)
        ))),
        Some((_, rows)) if table.rows < rows => Err(Error::Mismatch(format!(
            "table '{name}' has {} rows, the data needs {rows}",
            table.rows
        ))),
        Some((source, _)) => Ok(source),
    }
}

/// The names that tables of such data may have.
fn for_tables(schema: &BatchSchema) -> String {
    let mut names = [USER_TABLE, MOVIE_TABLE].map(quoted).to_vec();
    for ColumnField { name, kind, .. } in schema.columns() {
        if kind.ids().is_some() {
            names.push(quoted(name));
        }
        if let ColumnKind::Shared { .. } = kind {
            names.push(format!("'{RATED}{name}'"));
        }
    }
    list(names.into_iter())
}

/// The column that a modality of the model takes, and the vectors that it refers to.
fn vectors<'a>(
    schema: &BatchSchema,
    modalities: &'a [Modality],
    wanted: &ModalityConfig,
) -> Result<(usize, Vectors<'a>)> {
    let fits = |column: &ColumnField| {
        let width = wanted.width;
        column.name == wanted.name && column.kind == ColumnKind::Vectors { width }
    };
    let place = schema.columns().iter().position(fits);
    let modality = modalities
        .iter()
        .find(|it| it.name() == wanted.name && it.width() == wanted.width);
    if let (Some(place), Some(modality)) = (place, modality) {
        return Ok((place, modality.values().into()));
    }
    let columns = schema.columns().iter();
    let has = columns.filter_map(|column| match column.kind {
        ColumnKind::Vectors { width } => Some(format!("'{}' of {width}", column.name)),
        _ => None,
    });
    Err(Error::Mismatch(format!(
        "the model takes '{}' vectors of {}, which the data lacks; it has {}",
        wanted.name,
        wanted.width,
        list(has)
    )))
}

fn quoted(name: &str) -> String {
    format!("'{name}'")
}

/// For a message.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    match items.is_empty() {
        true => "none".to_owned(),
        false => items.join(", "),
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

/// Batches to learn from.
pub(super) type TrainingBatches<'a> = Box<dyn Iterator<Item = Result<Batch>> + 'a>;

pub(super) fn batches(
    data: &dyn TrainingData,
    size: usize,
    order: u64,
    first: usize,
) -> TrainingBatches<'static> {
    let batches = data.training_batches_from(size, order, first);
    Box::new(batches.map(|batch| Ok(batch?)))
}

/// What the model learns: the stars, or what biases leave of them.
pub(super) fn beyond_base(batch: &Batch) -> Cow<'_, [f32]> {
    if batch.base.is_empty() {
        return Cow::Borrowed(&batch.stars);
    }
    let pairs = batch.stars.iter().zip(&batch.base);
    Cow::Owned(pairs.map(|(stars, base)| stars - base).collect())
}

const _: () = assert!(
    BatchBags::WHOLE == SharedBags::WHOLE,
    "both crates mark a whole bag alike"
);
const _: () = assert!(
    Modality::MISSING == ModalityInput::MISSING,
    "both crates mark a missing vector alike"
);

#[cfg(test)]
mod tests;
