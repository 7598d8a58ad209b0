//! What of each table is part of a fingerprint.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};

use super::hash::{PartHasher, RatingsHasher, SplitHasher, of_ids, words_of};
use super::{DataFingerprint, DataPart};
use crate::{
    Candidates, Genome, IdMap, IdNames, Interactions, Modality, MovieLens, Movies, Ratings, Split,
    SplitPart, StreamedInteractions, StreamedMovieLens, Traits, Users,
};

impl Movies {
    /// Ids, titles, years and genres, by ascending id.
    fn parts(&self) -> [DataPart; 4] {
        let ids = self.ids();
        let mut rows: Vec<usize> = (0..self.len()).collect();
        rows.sort_unstable_by_key(|&row| ids[row]);
        let names = ["movies", "titles", "years", "genres"];
        let [mut movies, mut titles, mut years, mut genres] = names.map(PartHasher::new);
        movies.words(rows.iter().map(|&row| [ids[row]]));
        let index = self.index();
        if index.names().is_some() {
            let rows = 0..index.len() as u32;
            rows.for_each(|row| movies.text(&index.name(row).unwrap_or_default()));
        }
        for &row in &rows {
            titles.thing(&[ids[row]]);
            titles.text(self.title(row));
            if let Some(year) = self.year(row) {
                years.thing(&[ids[row], year.cast_unsigned()]);
            }
            for genre in self.genres(row) {
                genres.thing(&[ids[row]]);
                genres.text(&genre);
            }
        }
        [movies, titles, years, genres].map(PartHasher::finish)
    }
}

impl Genome {
    /// Which tags score how high for which movies.
    pub fn part(&self) -> DataPart {
        let mut part = PartHasher::new("tag genome");
        let tags = self.tags().column(0).as_primitive::<UInt32Type>();
        part.words(tags.values().iter().map(|&tag| [tag]));
        let ids = self.scores().column(0).as_primitive::<UInt32Type>();
        part.words(ids.values().iter().map(|&movie| [movie]));
        let scores = self.scores().column(1).as_fixed_size_list().values();
        let scores = scores.as_primitive::<Float32Type>().values().iter();
        part.words(scores.map(|score| [score.to_bits()]));
        part.count(ids.len()).finish()
    }
}

impl Modality {
    /// Which movies have a vector, and the vectors.
    pub fn part(&self) -> DataPart {
        let mut part = PartHasher::new(format!("{} vectors", self.name()));
        part.words(self.row_of_movie().iter().map(|&row| [row]));
        let values = self.values().iter();
        part.words(values.map(|value| [u32::from(value.to_bits())]));
        part.count(self.present()).finish()
    }
}

impl MovieLens {
    /// Of ratings, users, movies and, where it was read, the tag genome.
    pub fn fingerprint(&self) -> DataFingerprint {
        fingerprint_of(&self.ratings, &self.movies, self.genome.as_ref(), None)
    }
}

fn fingerprint_of(
    ratings: &Ratings,
    movies: &Movies,
    genome: Option<&Genome>,
    names: Option<&Arc<IdNames>>,
) -> DataFingerprint {
    let hash = || {
        let pairs = ratings.user_ids().iter().zip(ratings.movie_ids());
        let given = ratings.stars().iter().zip(ratings.timestamps());
        let mut hasher = RatingsHasher::new();
        hasher.add(
            pairs
                .zip(given)
                .map(|((&user, &movie), (&stars, &time))| (user, movie, stars, time)),
        );
        hasher.finish()
    };
    let users = || IdMap::from_ids(ratings.user_ids().iter().copied()).with_names(names.cloned());
    let (ratings, users) = rayon::join(hash, users);
    of_release(ratings, &users, movies, genome)
}

impl Interactions {
    /// Of ratings, users and items, and what is known of these.
    pub fn fingerprint(&self) -> DataFingerprint {
        let of_ratings = fingerprint_of(&self.ratings, &self.items, None, self.users.names());
        with_traits(of_ratings, &self.items, &self.users, &self.pairs)
    }
}

impl StreamedMovieLens {
    /// As [`MovieLens::fingerprint`]; the ratings are not read again.
    pub fn fingerprint(&self) -> DataFingerprint {
        let ratings = self.ratings.part().clone();
        let users = self.ratings.users();
        of_release(ratings, users, &self.movies, self.genome.as_ref())
    }
}

impl StreamedInteractions {
    /// As [`Interactions::fingerprint`]; the ratings are not read again.
    pub fn fingerprint(&self) -> DataFingerprint {
        let ratings = self.ratings.part().clone();
        let of_ratings = of_release(ratings, self.ratings.users(), &self.items, None);
        with_traits(of_ratings, &self.items, &self.users, &Traits::default())
    }
}

/// With what is known of items, of users, and of single interactions.
fn with_traits(
    of_ratings: DataFingerprint,
    items: &Movies,
    users: &Users,
    pairs: &Traits,
) -> DataFingerprint {
    let traits = items.traits().unwrap_or_default();
    let of_items = (!traits.is_empty()).then(|| traits.part("traits of items"));
    let of_pairs = (!pairs.is_empty()).then(|| pairs.part("traits of interactions"));
    let more = of_items.into_iter().chain(users.part()).chain(of_pairs);
    of_ratings.with(more.collect())
}

fn of_release(
    ratings: DataPart,
    users: &IdMap,
    movies: &Movies,
    genome: Option<&Genome>,
) -> DataFingerprint {
    let parts = [ratings, of_ids("users", users)].into_iter();
    let parts = parts.chain(movies.parts());
    parts.chain(genome.map(Genome::part)).collect()
}

impl Split {
    /// Which rows are trained on, validated on and held out.
    pub fn fingerprint(&self) -> DataFingerprint {
        let mut split = SplitHasher::new();
        for (part, rows) in [
            (SplitPart::Train, self.train()),
            (SplitPart::Validation, self.validation()),
            (SplitPart::Test, self.test()),
        ] {
            split.add(part, rows.iter().map(|&row| u64::from(row)));
        }
        split.finish()
    }
}

impl Candidates {
    /// Which movies compete for whom.
    pub fn fingerprint(&self) -> DataFingerprint {
        let mut part = PartHasher::new("candidates");
        for row in self.rows() {
            part.thing(&words_of(row.movie_ids.len() as u64));
            part.thing(&[row.user_id]);
            part.thing(&row.movie_ids);
        }
        let part = part.count(self.rows().len()).finish();
        DataFingerprint { parts: vec![part] }
    }
}
