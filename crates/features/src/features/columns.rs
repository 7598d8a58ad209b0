//! The columns of the batches of [`Features`], by name.

use mmdlrm_data::{Batch, BatchSchema, Column, ColumnField, ColumnKind, Rated, Result, Target};

use super::Features;
use crate::statistics::{DENSE_FEATURES, WIDTH};

impl Features {
    /// Name of the column of genres, a bag of each sample's movie; …
    pub const GENRE: &str = "genre";
    /// … of the dense features; …
    pub const DENSE: &str = "dense";
    /// … with a [context](crate::ContextConfig), of what each sample's user rated, bags that
    /// samples share; …
    pub const HISTORY: &str = "history";
    /// … and of who rated each sample's movie.
    pub const AUDIENCE: &str = "audience";

    /// Which columns batches have, in this order:
    ///
    /// | column | kind | |
    /// | --- | --- | --- |
    /// | [`GENRE`](Self::GENRE) | bags | ids of [genres](Self::genre_names) |
    /// | [`DENSE`](Self::DENSE) | dense | features of these [names](Self::dense_names), standardized |
    /// | of each [category](Self::categories) its name | bags | ids of its values |
    /// | of each [modality](Self::modalities) its name | vectors | that of the movie |
    /// | [`HISTORY`](Self::HISTORY) | shared | movies that the user rated, with a context |
    /// | [`AUDIENCE`](Self::AUDIENCE) | shared | users who rated the movie, with a context |
    ///
    /// Features [for somebody new](Self::for_new_user), or with
    /// [a new movie](Self::with_new_movie), have that of those that they come from: what is new
    /// is not counted.
    pub fn schema(&self) -> &BatchSchema {
        &self.schema
    }

    /// The columns of a batch of `rows`, in the order of the schema; the context writes the
    /// bases of the batch.
    pub(super) fn columns_of(
        &self,
        rows: &[Rated],
        places: &[u32],
        draw: Option<u64>,
        batch: &mut Batch,
    ) -> Vec<Column> {
        let (dense, shared) = match &self.context {
            None => (self.dense_of(rows, draw), None),
            Some(context) => {
                let (dense, shared) = context.columns(rows, draw, batch);
                (dense, Some(shared))
            }
        };
        let mut columns = Vec::with_capacity(self.schema.columns().len());
        columns.extend([
            self.genres_of(rows),
            self.with_measures(rows, places, dense),
        ]);
        columns.extend(self.categories_of(rows, places));
        columns.extend(self.modalities.iter().map(|modality| {
            let vectors = modality.row_of_movie();
            let of_movies = rows.iter().map(|rated| vectors[rated.movie as usize]);
            Column::Vectors(of_movies.collect())
        }));
        columns.extend(shared.into_iter().flatten());
        columns
    }

    fn genres_of(&self, rows: &[Rated]) -> Column {
        let mut offsets = Vec::with_capacity(rows.len() + 1);
        offsets.push(0);
        let mut ids = Vec::new();
        for rated in rows {
            ids.extend_from_slice(self.genres.row(rated.movie));
            offsets.push(ids.len() as u32);
        }
        Column::Bags { offsets, ids }
    }

    fn dense_of(&self, rows: &[Rated], draw: Option<u64>) -> Column {
        let mut values = vec![0.0; rows.len() * WIDTH];
        for (rated, out) in rows.iter().zip(values.chunks_exact_mut(WIDTH)) {
            let own = draw.is_some().then_some(match self.target {
                // Somebody's items and those that were drawn beside them alike: were only the
                // former left out of counts, these would tell which is which.
                Target::Implicit => 1.0,
                _ => rated.stars,
            });
            self.statistics
                .fill(rated.user, rated.movie, rated.timestamp, own, out);
        }
        Column::Dense {
            width: WIDTH,
            values,
        }
    }

    /// Overwrites what depends on the user in the dense features of a batch without a context.
    pub(super) fn retarget_dense(&self, batch: &mut Batch, user: u32, timestamp: u32) {
        if let Some(Column::Dense { values, .. }) = batch.column_mut(Self::DENSE) {
            self.statistics.fill_user(user, timestamp, values);
        }
    }
}

impl Features {
    /// Makes the schema, and the names of dense features, those of what is known now.
    ///
    /// # Errors
    /// Columns of one name.
    pub(super) fn renew_schema(&mut self) -> Result<()> {
        let context = self.context.as_ref();
        let statistics = context.map_or(&DENSE_FEATURES[..], |it| it.neighbours.names());
        let statistics = statistics.iter().map(|&name| name.to_owned());
        self.dense_names = statistics.chain(self.measure_names()).collect();
        let names = self.dense_names.iter().map(String::as_str);
        let genres = self.genre_names.len();
        let mut columns = vec![
            ColumnField::new(Self::GENRE, ColumnKind::Bags { ids: genres }),
            ColumnField::new(Self::DENSE, ColumnKind::dense(names)),
        ];
        columns.extend(self.categories().map(|(name, _, category)| {
            let ids = category.values.len();
            ColumnField::new(&name, ColumnKind::Bags { ids })
        }));
        columns.extend(self.modalities.iter().map(|modality| {
            let width = modality.width();
            ColumnField::new(modality.name(), ColumnKind::Vectors { width })
        }));
        let (users, movies) = (self.users.len(), self.movies.len());
        if self.context.is_some() {
            let shared = |name, ids| ColumnField::new(name, ColumnKind::Shared { ids });
            columns.push(shared(Self::HISTORY, movies));
            columns.push(shared(Self::AUDIENCE, users));
        }
        self.schema = BatchSchema::new(users, movies, columns)?;
        Ok(())
    }
}
