//! Features in a safetensors file.

use mmdlrm_data::{
    Bags, BatchSchema, Category, DataFingerprint, IdMap, Modality, ModalityParts, Movies, Result,
    Target,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use super::side::SideColumns;
use super::{Features, check_modalities, genre_bags, item_traits};
use crate::ContextConfig;
use crate::context::Context;
use crate::known::of_users::{get_names, get_traits, put_names, put_traits};
use crate::known::tensors::{Columns, Source, Stored};
use crate::known::{Histories, problem};
use crate::statistics::Statistics;
use mmdlrm_data::Error;

/// The one setting of the file.
const ABOUT: &str = "features";
const USERS: &str = "users";

/// What the tensors do not say.
#[derive(Serialize, Deserialize)]
struct About {
    modalities: Vec<AboutModality>,
    context: Option<ContextConfig>,
    #[serde(default)]
    target: Target,
    /// Columns of what a table says of users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_categories: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    user_measures: Vec<String>,
    /// Columns of what is known of single ratings, with their values …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pair_categories: Vec<(String, Vec<String>)>,
    /// … and their means and inverse deviations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pair_measures: Vec<(String, (f64, f64))>,
    /// What must come out again.
    fingerprint: DataFingerprint,
}

#[derive(Serialize, Deserialize)]
struct AboutModality {
    name: String,
    left_out: usize,
    width: usize,
    /// What vectors were divided by.
    length: f32,
}

impl Features {
    /// Everything that was computed of ratings and contents, as a safetensors file: users,
    /// statistics, the vectors of each modality in half precision, and what a context was
    /// fitted to. What is in the table of movies is not in it, nor are any ratings.
    ///
    /// # Errors
    /// None that anybody can cause.
    pub fn to_safetensors(&self) -> Result<Vec<u8>> {
        self.columns()
            .and_then(Columns::into_safetensors)
            .map_err(Error::External)
    }

    fn columns(&self) -> Result<Columns, Source> {
        let mut columns = Columns::default();
        columns.put(USERS, self.users.ids());
        if let Some(names) = self.users.names() {
            put_names(&mut columns, names);
        }
        let of_users = &self.user_columns.traits;
        put_traits(&mut columns, of_users);
        let of_pairs = &self.pair_columns.traits;
        self.statistics.put(&mut columns);
        let mut modalities = Vec::new();
        for modality in self.modalities.iter() {
            let ModalityParts {
                name,
                left_out,
                values,
                row_of_movie,
                mean,
                length,
            } = modality.parts();
            let [all, rows, means] = names(&name);
            columns.put(all, &values);
            columns.put(rows, &row_of_movie);
            columns.put(means, &mean);
            modalities.push(AboutModality {
                width: mean.len(),
                name,
                left_out,
                length,
            });
        }
        if let Some(context) = &self.context {
            context.neighbours.put(&mut columns);
        }
        let about = About {
            modalities,
            context: self.context.as_ref().map(|context| context.config),
            target: self.target,
            user_categories: of_users
                .categories
                .iter()
                .map(|it| it.name.clone())
                .collect(),
            user_measures: of_users.measures.iter().map(|it| it.name.clone()).collect(),
            pair_categories: of_pairs
                .categories
                .iter()
                .map(|it| (it.name.clone(), it.values.clone()))
                .collect(),
            pair_measures: of_pairs
                .measures
                .iter()
                .zip(self.pair_columns.scales.iter())
                .map(|(it, scale)| (it.name.clone(), *scale))
                .collect(),
            fingerprint: self.fingerprint(),
        };
        columns.set(ABOUT, &about)?;
        Ok(columns)
    }

    /// The inverse of [`Self::to_safetensors`]: `movies` is the catalogue that they are of,
    /// and `histories` hold the ratings, which a context is made of.
    ///
    /// # Errors
    /// A file of something else, that is damaged, or of another catalogue; histories that
    /// cannot be read.
    pub fn from_safetensors(file: &[u8], movies: &Movies, histories: &Histories) -> Result<Self> {
        Self::restored(file, movies, histories).map_err(|error| match error.downcast() {
            Ok(error) => *error,
            Err(error) => Error::External(error),
        })
    }

    fn restored(file: &[u8], catalogue: &Movies, histories: &Histories) -> Result<Self, Source> {
        let stored = Stored::new(file)?;
        let About {
            modalities,
            context,
            target,
            user_categories,
            user_measures,
            pair_categories,
            pair_measures,
            fingerprint,
        } = stored.setting(ABOUT)?;
        let users = IdMap::from_ids(stored.all::<u32>(USERS)?).with_names(get_names(&stored)?);
        let of_users = get_traits(&stored, users.len(), user_categories, user_measures)?;
        if users.len() != histories.users() {
            return Err(problem(format!(
                "it is about {} users, and the histories are of {}",
                users.len(),
                histories.users()
            )));
        }
        let movies = catalogue.index();
        let (genre_names, genres) = genre_bags(catalogue, &movies);
        let statistics = Statistics::get(&stored, users.len(), movies.len())?;
        if (0..)
            .zip(statistics.user_counts())
            .any(|(user, count)| histories.trained_of(user) != count as usize)
        {
            return Err(problem("the histories are not those that it was made of"));
        }
        let modality = |about: AboutModality| {
            let [all, rows, means] = names(&about.name);
            let parts = ModalityParts {
                values: stored.all(&all)?,
                row_of_movie: stored.get(&rows, movies.len())?,
                mean: stored.get(&means, about.width)?,
                name: about.name,
                left_out: about.left_out,
                length: about.length,
            };
            Ok::<_, Source>(Modality::from_parts(parts, &movies)?)
        };
        let modalities = modalities.into_iter().map(modality);
        let modalities = modalities.collect::<Result<Vec<_>, _>>()?;
        check_modalities(&modalities, &movies)?;
        let mut features = Self {
            item_columns: SideColumns::new(item_traits(catalogue, &movies)?),
            user_columns: SideColumns::new(of_users),
            pair_columns: SideColumns::of_columns(
                pair_categories
                    .into_iter()
                    .map(category_without_rows)
                    .collect(),
                pair_measures,
            ),
            target,
            dense_names: Vec::new(),
            schema: BatchSchema::default(),
            users,
            genre_names,
            genres,
            statistics,
            modalities: Arc::new(modalities),
            movies,
            context: None,
        };
        features.renew_schema()?;
        if let Some(config) = context {
            config.validate()?;
            let years = features.statistics.years.as_slice();
            features.join(Context::get(&stored, config, histories, years)?)?;
        }
        let changes = fingerprint.changes(&features.fingerprint());
        match changes.is_empty() {
            true => Ok(features),
            false => {
                let changes = changes.iter().map(ToString::to_string);
                let changes = changes.collect::<Vec<_>>().join("; ");
                Err(problem(format!("it is damaged: {changes}")))
            }
        }
    }
}

fn category_without_rows((name, values): (String, Vec<String>)) -> Category {
    Category {
        name,
        values,
        bags: Bags::from_pairs(0, []),
    }
}

/// Names of a modality's tensors: vectors, each movie's row, the mean.
fn names(modality: &str) -> [String; 3] {
    ["vectors", "rows", "mean"].map(|what| format!("modality.{modality}.{what}"))
}
