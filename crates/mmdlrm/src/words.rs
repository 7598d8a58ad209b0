use std::path::Path;

use mmdlrm_data::Target;
use serde::Serialize;

use crate::Source;

/// What the things of some data are called where people read of them: movies, ratings and stars,
/// or what the tables of a shop call them.
///
/// ```
/// use mmdlrm::Words;
///
/// let words = Words::default();
/// assert_eq!((&*words.items, &*words.unit), ("movies", "stars"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Words {
    /// One item.
    pub item: String,
    /// Several.
    pub items: String,
    /// One row of what users did.
    pub rating: String,
    /// Several.
    pub ratings: String,
    /// What users did with items: rated them, or, where there is no scale, chose them.
    pub rated: String,
    /// What ratings are counted in.
    pub unit: String,
    /// What they say, which the model learned in stars.
    pub target: Target,
}

impl Default for Words {
    /// Those of MovieLens.
    fn default() -> Self {
        let word = str::to_owned;
        Self {
            item: word("movie"),
            items: word("movies"),
            rating: word("rating"),
            ratings: word("ratings"),
            rated: word("rated"),
            unit: word("stars"),
            target: Target::STARS,
        }
    }
}

impl Words {
    /// Those of a source: tables are called by the names of their files, where these are plurals,
    /// and the unit by the column of the target.
    pub(crate) fn of(source: &Source, target: Target) -> Self {
        let Source::Tables(files) = source else {
            return Self::default();
        };
        let (item, items) = plural(files.items.as_deref(), ("item", "items"));
        let (usual, rated) = match target {
            Target::Rating { .. } => (("rating", "ratings"), "rated"),
            _ => (("interaction", "interactions"), "chose"),
        };
        let (rating, ratings) = plural(Some(&files.interactions), usual);
        let unit = files.options.schema.target.clone();
        Self {
            item,
            items,
            rating,
            ratings,
            rated: rated.to_owned(),
            unit: unit.unwrap_or_else(|| "units".to_owned()),
            target,
        }
    }

    /// What stands above what is recommended because of an item.
    pub(crate) fn because_of(&self, item: &str) -> String {
        match self.are_of_movies() {
            true => format!("Because you watched {item}"),
            false => format!("Because of {item}"),
        }
    }

    /// What stands above the most popular.
    pub(crate) fn most(&self) -> &'static str {
        match self.are_of_movies() {
            true => "Most watched",
            false => "Most popular",
        }
    }

    fn are_of_movies(&self) -> bool {
        self.item == "movie"
    }

    /// A number of stars as what the data count in, to a tenth of a star.
    pub fn amount(&self, stars: f32) -> String {
        let amount = self.target.from_stars(f64::from(stars));
        format!("{amount:.*}", self.decimals(1))
    }

    /// What is in the scale of the data already, to a hundredth of a star.
    pub fn exact(&self, amount: f32) -> String {
        format!("{amount:.*}", self.decimals(2))
    }

    /// So many decimals of the data's scale as tell stars apart that have so many; of how likely
    /// something is, two more.
    pub fn decimals(&self, of_stars: i32) -> usize {
        let decimals = match self.target {
            Target::Rating { .. } => of_stars - self.target.of_a_star().log10().floor() as i32,
            _ => of_stars + 2,
        };
        usize::try_from(decimals).unwrap_or(0)
    }
}

/// A figure as people read it: four decimals, and three digits of what is below a thousandth.
///
/// ```
/// assert_eq!(mmdlrm::told(0.86273), "0.8627");
/// assert_eq!(mmdlrm::told(0.000_031_49), "0.0000315");
/// ```
pub fn told(figure: f64) -> String {
    let size = figure.abs();
    let decimals = match size > 0.0 && size < 1e-3 {
        true => 2 - size.log10().floor() as i32,
        false => 4,
    };
    format!("{figure:.*}", usize::try_from(decimals).unwrap_or(4))
}

/// Singular and plural of what a file is called.
fn plural(file: Option<&Path>, usual: (&str, &str)) -> (String, String) {
    let name = file.and_then(Path::file_name).unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    let stem = name.split('.').next().unwrap_or_default();
    let is_word = stem.len() > 3 && stem.bytes().all(|it| it.is_ascii_lowercase());
    match stem
        .strip_suffix('s')
        .filter(|one| is_word && !one.ends_with('s'))
    {
        Some(one) => (one.to_owned(), stem.to_owned()),
        None => (usual.0.to_owned(), usual.1.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::InteractionFiles;

    use super::*;

    #[test]
    fn tables_are_called_by_their_files_where_these_are_plurals() {
        let of = |interactions: &str, items: Option<&str>| {
            let files = InteractionFiles {
                interactions: interactions.into(),
                items: items.map(Into::into),
                ..InteractionFiles::default()
            };
            let words = Words::of(&Source::Tables(files), Target::Implicit);
            (words.rating, words.ratings, words.item, words.items)
        };
        let words = |all: [&str; 4]| {
            let [a, b, c, d] = all.map(str::to_owned);
            (a, b, c, d)
        };
        assert_eq!(
            of("in/purchases.csv.gz", Some("Products.parquet")),
            words(["purchase", "purchases", "product", "products"])
        );
        assert_eq!(
            of("clicks_2024.parquet", None),
            words(["interaction", "interactions", "item", "items"])
        );
        assert_eq!(
            of("glass.csv", Some("a.b")),
            words(["interaction", "interactions", "item", "items"])
        );
    }

    #[test]
    fn amounts_are_in_the_scale_of_the_data() {
        let mut words = Words::default();
        assert_eq!(words.amount(3.25), "3.2");
        let (lowest, highest) = (0.0, 100.0);
        words.target = Target::Rating { lowest, highest };
        assert_eq!(words.amount(5.0), "100");
        assert_eq!(words.exact(70.25), "70.2");
        let (lowest, highest) = (1e-4, 5e-4);
        words.target = Target::Rating { lowest, highest };
        assert_eq!(words.amount(5.0), "0.000500");
        words.target = Target::Label;
        assert_eq!(words.amount(0.25), "0.250");
    }
}
