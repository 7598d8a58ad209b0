mod columns;
mod file;
mod side;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use mmdlrm_data::{
    Bags, Batch, BatchSchema, DataFingerprint, DataPart, Error, IdMap, Modality, Movies,
    PartHasher, Rated, RatedBags, Result, Target, Traits,
};

use crate::ContextConfig;
use crate::context::Context;
use crate::statistics::Statistics;
use side::SideColumns;

/// What is known of users and movies: their numbers, genres, modalities, and
/// statistics of the training rows. Turns ratings into [`Batch`]es.
#[derive(Clone)]
pub struct Features {
    users: IdMap,
    movies: IdMap,
    genre_names: Vec<String>,
    genres: Bags,
    statistics: Statistics,
    modalities: Arc<Vec<Modality>>,
    context: Option<Context>,
    target: Target,
    item_columns: SideColumns,
    user_columns: SideColumns,
    pair_columns: SideColumns,
    dense_names: Vec<String>,
    /// Shared by all batches, those for somebody new and of a new movie too.
    schema: BatchSchema,
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modalities: Vec<&str> = self.modalities.iter().map(Modality::name).collect();
        f.debug_struct("Features")
            .field("users", &self.users.len())
            .field("movies", &self.movies.len())
            .field("genres", &self.genre_names.len())
            .field("modalities", &modalities)
            .field("has_context", &self.has_context())
            .finish_non_exhaustive()
    }
}

/// A movie that nobody has rated yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewMovie {
    /// Year of release.
    pub year: Option<i32>,
    /// Names of its genres, of [`Features::genre_names`].
    pub genres: Vec<String>,
    /// For each modality that it has the name and the vector, as the encoder made it.
    pub vectors: Vec<(String, Vec<f32>)>,
}

impl Features {
    /// Numbers genres and fits the statistics of `users` and of the movies of `catalogue`;
    /// `pass` hands out all training rows, some at a time, in the same order at each of its
    /// calls.
    ///
    /// # Errors
    /// Modalities of another catalogue, one with the name of another column, or what `pass`
    /// returns.
    pub fn fit(
        users: IdMap,
        catalogue: &Movies,
        modalities: Vec<Modality>,
        pass: impl FnMut(&mut dyn FnMut(&[Rated])) -> Result<()>,
    ) -> Result<Self> {
        let movies = catalogue.index();
        check_modalities(&modalities, &movies)?;
        let (genre_names, genres) = genre_bags(catalogue, &movies);
        let mut years = vec![None; movies.len()];
        for (row, &id) in catalogue.ids().iter().enumerate() {
            if let Some(movie) = movies.row(id) {
                years[movie as usize] = catalogue.year(row);
            }
        }
        let statistics = Statistics::fit(users.len(), &years, pass)?;
        let mut features = Self {
            item_columns: SideColumns::new(item_traits(catalogue, &movies)?),
            schema: BatchSchema::default(),
            users,
            movies,
            genre_names,
            genres,
            statistics,
            modalities: Arc::new(modalities),
            context: None,
            target: Target::default(),
            user_columns: SideColumns::default(),
            pair_columns: SideColumns::default(),
            dense_names: Vec::new(),
        };
        features.renew_schema()?;
        Ok(features)
    }

    /// The same for ratings that say something else than how many stars.
    #[must_use]
    pub fn with_target(self, target: Target) -> Self {
        Self { target, ..self }
    }

    /// What the ratings say.
    pub fn target(&self) -> Target {
        self.target
    }

    /// The same movies for one user who is new, the only one, with these ratings; their
    /// [`Rated::user`] is not read.
    pub fn for_new_user(&self, ratings: &[Rated]) -> Self {
        let context = self.context.clone();
        Self {
            users: IdMap::from_ids([0]),
            statistics: self.statistics.for_user(ratings),
            context: context.map(|context| context.for_user(ratings)),
            movies: self.movies.clone(),
            genre_names: self.genre_names.clone(),
            genres: self.genres.clone(),
            modalities: Arc::clone(&self.modalities),
            target: self.target,
            item_columns: self.item_columns.clone(),
            user_columns: self.user_columns.of_nobody(),
            pair_columns: self.pair_columns.of_nobody(),
            dense_names: self.dense_names.clone(),
            schema: self.schema.clone(),
        }
    }

    /// The same users and movies and a new one, behind the last row of
    /// [`Self::movies`], which does not name it. The vectors of the others are left out:
    /// the batches are to be of the new movie alone.
    ///
    /// # Errors
    /// A year of more than four digits, a genre that no other movie has, a vector of no
    /// modality, a second one of a modality, or one that
    /// [does not fit the others](Modality::standardized) or is so much longer that half
    /// precision cannot hold it.
    pub fn with_new_movie(&self, movie: &NewMovie) -> Result<Self> {
        if let Some(year) = movie.year.filter(|year| !Movies::YEARS.contains(year)) {
            let rule = "a movie's year of release has at most four digits";
            return Err(Error::setting("year", year, rule));
        }
        let genre = |name: &String| {
            let found = self.genre_names.binary_search(name);
            found.map(|genre| genre as u32).map_err(|_| {
                let rule = "it must be the genre of some movie of the catalogue";
                Error::setting("genre", name, rule)
            })
        };
        let mut genres: Vec<u32> = movie.genres.iter().map(genre).collect::<Result<_>>()?;
        genres.sort_unstable();
        genres.dedup();
        if let Some((name, _)) = movie
            .vectors
            .iter()
            .find(|(name, _)| self.modalities.iter().all(|it| it.name() != name))
        {
            let rule = "it must be one of those that the model was trained with";
            return Err(Error::setting("modality", name, rule));
        }
        let modalities = self.modalities.iter().map(|modality| {
            let own = movie.vectors.iter();
            let mut own = own.filter(|(name, _)| name == modality.name());
            let vector = own.next().map(|(_, vector)| vector.as_slice());
            match own.next() {
                None => modality.of_new_movie(vector),
                Some((name, _)) => {
                    let rule = "a movie has one vector of it, and this one has a second";
                    Err(Error::setting("modality", name, rule))
                }
            }
        });
        let modalities = modalities.collect::<Result<_>>()?;
        let mut features = self.clone();
        features.modalities = Arc::new(modalities);
        features.statistics.add_movie(movie.year);
        features.genres.push(&genres);
        let year = features
            .statistics
            .years
            .last()
            .copied()
            .unwrap_or_default();
        let context = features.context.take();
        features.context = context.map(|context| context.with_movie(year));
        Ok(features)
    }

    /// Gives batches a context from the training rows.
    ///
    /// # Errors
    /// A modality with the name of a column of it.
    pub(crate) fn set_context(
        &mut self,
        config: ContextConfig,
        histories: RatedBags,
        audiences: RatedBags,
    ) -> Result<()> {
        let years = self.statistics.years.clone();
        self.join(Context::new(config, histories, audiences, years))
    }

    /// Makes batches have the columns of a context.
    fn join(&mut self, context: Context) -> Result<()> {
        self.context = Some(context);
        self.renew_schema()
    }

    /// Whether batches have a [context](ContextConfig).
    pub fn has_context(&self) -> bool {
        self.context.is_some()
    }

    /// What gives batches their [context](ContextConfig), where they have one.
    pub fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Names of the dense features of the column [`Self::DENSE`], in their order:
    /// [`DENSE_FEATURES`](crate::DENSE_FEATURES), or those of the context, and behind them what
    /// tables say of items and users ([`Self::measures`]).
    pub fn dense_names(&self) -> &[String] {
        &self.dense_names
    }

    /// Users by dense row: everybody who rated anything.
    pub fn users(&self) -> &IdMap {
        &self.users
    }

    /// Movies by dense row: the whole catalogue.
    pub fn movies(&self) -> &IdMap {
        &self.movies
    }

    /// Names of the genres, by genre id.
    pub fn genre_names(&self) -> &[String] {
        &self.genre_names
    }

    /// Year of release of each movie, by dense row; the mean of those known where it is not.
    pub fn years(&self) -> &[f32] {
        &self.statistics.years
    }

    /// Genre ids of a movie.
    ///
    /// # Panics
    /// Where the movie is no dense row.
    pub fn genres(&self, movie: u32) -> &[u32] {
        self.genres.row(movie)
    }

    /// The modalities: each is a column of its name.
    pub fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    /// Mean and standard deviation of the training ratings, in stars.
    pub fn rating_scale(&self) -> (f32, f32) {
        (
            self.statistics.mean as f32,
            self.statistics.deviation as f32,
        )
    }

    /// Training ratings of each user, by dense row.
    pub fn user_counts(&self) -> Vec<u32> {
        self.statistics.user_counts()
    }

    /// Training ratings of each movie, by dense row.
    pub fn movie_counts(&self) -> Vec<u32> {
        self.statistics.movie_counts()
    }

    /// A row to predict, at the time of the user's last training rating
    /// ([`Self::latest`] of a user without one): when a movie would be rated is not
    /// known beforehand.
    ///
    /// # Panics
    /// Where the user is no dense row.
    pub fn unrated(&self, user: u32, movie: u32) -> Rated {
        Rated {
            user,
            movie,
            stars: 0.0,
            timestamp: self.statistics.last_seen[user as usize],
        }
    }

    /// When anybody rated last in the training set.
    pub fn latest(&self) -> u32 {
        self.statistics.last_seen.iter().copied().max().unwrap_or(0)
    }

    /// Who is numbered how, genres, statistics of the training rows, vectors and the
    /// settings of the context: a model that was trained on these features fits no others.
    pub fn fingerprint(&self) -> DataFingerprint {
        let parts = [
            DataPart::of_words("users", self.users.ids().iter().copied()),
            DataPart::of_words("movies", self.movies.ids().iter().copied()),
            self.genres_part(),
            self.statistics.part(),
        ];
        let vectors = self.modalities.iter().map(Modality::part);
        let context = self.context.iter().map(|context| context.config.part());
        let more = vectors.chain(context).chain(self.side_parts());
        parts.into_iter().chain(more).collect()
    }

    /// Of what MovieLens has not: another meaning of ratings, names and traits.
    fn side_parts(&self) -> Vec<DataPart> {
        let mut parts = Vec::new();
        if self.target != Target::STARS {
            let target = serde_json::to_string(&self.target).unwrap_or_default();
            parts.push(DataPart::of_words("target", target.bytes().map(u32::from)));
        }
        for (name, columns) in [
            ("traits of items", &self.item_columns),
            ("traits of users", &self.user_columns),
        ] {
            if !columns.traits.is_empty() {
                parts.push(columns.traits.part(name));
            }
        }
        // Of ratings the columns alone: a file does not keep what is known of each.
        if !self.pair_columns.traits.is_empty() {
            let mut part = PartHasher::new("columns of interactions");
            for category in &self.pair_columns.traits.categories {
                part.text(&category.name);
                category.values.iter().for_each(|value| part.text(value));
            }
            let measures = self.pair_columns.traits.measures.iter();
            for (measure, (mean, inverse)) in measures.zip(self.pair_columns.scales.iter()) {
                part.text(&measure.name);
                let words = [mean, inverse].map(|it| it.to_bits());
                part.words(words.map(|it| [it as u32, (it >> 32) as u32]));
            }
            parts.push(part.finish());
        }
        parts
    }

    fn genres_part(&self) -> DataPart {
        let mut part = PartHasher::new("genres");
        self.genre_names.iter().for_each(|name| part.text(name));
        for movie in 0..self.genres.len() as u32 {
            let genres = self.genres.row(movie);
            part.thing(&[genres.len() as u32]);
            part.thing(genres);
        }
        part.count(self.genre_names.len()).finish()
    }

    /// A batch of training rows; each row's own rating is left out of the sums that its
    /// features are made of. `draw` decides which ratings its bags hold.
    ///
    /// # Panics
    /// Where a user or a movie is no dense row, as every method that takes
    /// rows.
    pub fn training_batch(&self, rows: &[Rated], draw: u64) -> Batch {
        self.batch(rows, &[], Some(draw))
    }

    /// A batch of held-out rows.
    pub fn test_batch(&self, rows: &[Rated]) -> Batch {
        self.batch(rows, &[], None)
    }

    /// A row for each of `users`, at the time of the user's last training rating
    /// (the latest of anybody's where there is none). What depends on movies is
    /// that of the first.
    pub fn users_batch(&self, users: &[u32]) -> Batch {
        let rows: Vec<Rated> = users.iter().map(|&user| self.unrated(user, 0)).collect();
        let mut batch = self.batch(&rows, &[], None);
        batch.stars.clear();
        batch
    }

    /// All movies for one user, in the order of their rows, at the time of the
    /// user's last training rating (the latest of anybody's where there is
    /// none): when a movie would be rated is not known beforehand.
    pub fn catalogue_batch(&self, user: u32) -> Batch {
        let movies = 0..self.movies.len() as u32;
        let rows: Vec<Rated> = movies.map(|movie| self.unrated(user, movie)).collect();
        let mut batch = self.batch(&rows, &[], None);
        batch.stars.clear();
        batch
    }

    /// Turns a [`Self::catalogue_batch`] to another user. Only what depends on
    /// the user is written: what depends on the movies stays as it was
    /// computed.
    pub fn retarget(&self, catalogue: &mut Batch, user: u32) {
        if self.has_sides() {
            *catalogue = self.catalogue_batch(user);
            return;
        }
        let timestamp = self.statistics.last_seen[user as usize];
        catalogue.users.fill(user);
        catalogue.timestamps.fill(timestamp);
        let Some(context) = &self.context else {
            return self.retarget_dense(catalogue, user, timestamp);
        };
        let movies = catalogue.movies.iter();
        let rows: Vec<Rated> = movies.map(|&movie| self.unrated(user, movie)).collect();
        context.retarget(&rows, catalogue);
    }

    /// A batch of rows, of training rows with a draw; `places` say which of the ratings that
    /// something more [is known](Self::with_pairs) of each is, if it is any.
    pub(crate) fn batch(&self, rows: &[Rated], places: &[u32], draw: Option<u64>) -> Batch {
        let mut batch = Batch::of(rows);
        let columns = self.columns_of(rows, places, draw, &mut batch);
        batch.with_columns(&self.schema, columns)
    }
}

/// Checks that modalities are of this catalogue.
fn check_modalities(modalities: &[Modality], movies: &IdMap) -> Result<()> {
    match modalities.iter().find(|it| it.movies() != movies) {
        None => Ok(()),
        Some(other) => {
            let rule = "its vectors must be those of the movies that are rated, and are those of \
                        another catalogue";
            Err(Error::setting("modality", other.name(), rule))
        }
    }
}

/// What the table says of each movie, by dense row.
fn item_traits(table: &Movies, movies: &IdMap) -> Result<Traits> {
    let mut rows = vec![None; movies.len()];
    for (row, &id) in (0..).zip(table.ids()) {
        if let Some(movie) = movies.row(id) {
            rows[movie as usize] = Some(row);
        }
    }
    let traits = table.traits()?;
    Ok(match traits.is_empty() {
        true => traits,
        false => traits.of(&rows),
    })
}

fn genre_bags(table: &Movies, movies: &IdMap) -> (Vec<String>, Bags) {
    let names: BTreeSet<String> = (0..table.len()).flat_map(|row| table.genres(row)).collect();
    let names: Vec<String> = names.into_iter().collect();
    let pairs: Vec<(u32, u32)> = (0..table.len())
        .flat_map(|row| {
            table
                .genres(row)
                .map(move |genre| (table.ids()[row], genre))
        })
        .filter_map(|(id, genre)| Some((movies.row(id)?, names.binary_search(&genre).ok()? as u32)))
        .collect();
    let bags = Bags::from_pairs(movies.len(), pairs);
    (names, bags)
}
