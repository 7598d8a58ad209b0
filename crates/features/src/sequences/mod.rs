//! Ratings in the order in which they were given, and what is near in it.

mod nearness;

use std::collections::{BTreeSet, HashMap};

use mmdlrm_data::{
    Bags, DataFingerprint, DataPart, IdMap, Interactions, Rated, RatedBag, RatedBags,
    RatingsHasher, Result, Shuffle, Split,
};

pub use nearness::Nearness;

use crate::Known;

/// Training ratings of a catalogue's movies, a bag for each user.
///
/// Items, the ids of the bags, are the places of movies in the catalogue, users those of the
/// raw ids in [`Self::users`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    users: IdMap,
    catalogue: IdMap,
    histories: RatedBags,
}

/// What is known of a catalogue's items beside their ratings.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemFeatures {
    /// Of each item its genres, the years it was released in, two to a bucket, and
    /// how often it is rated, by powers of two; rows of one table.
    pub bags: Bags,
    /// Rows of that table.
    pub rows: usize,
    /// Year of each item; the mean of those known where it is not.
    pub years: Vec<f32>,
}

/// Years of a bucket.
const YEARS: i32 = 2;

impl Sequences {
    /// Of the training rows of `split`; ratings of other movies than the catalogue's are
    /// no part of them.
    ///
    /// # Errors
    /// A split of other ratings.
    pub fn new(data: impl Into<Interactions>, split: &Split, catalogue: &IdMap) -> Result<Self> {
        let Interactions {
            ratings,
            users: known,
            ..
        } = data.into();
        split.check_ratings(&ratings)?;
        let target = ratings.target();
        let rows = split.train().iter().map(|&row| row as usize);
        let rows = rows.filter_map(|row| Some((row, catalogue.row(ratings.movie_ids()[row])?)));
        let rows: Vec<(usize, u32)> = rows.collect();
        let users = rows.iter().map(|&(row, _)| ratings.user_ids()[row]);
        let users = IdMap::from_ids(users).with_names(known.names().cloned());
        let rated = rows.iter().filter_map(|&(row, movie)| {
            Some(Rated {
                user: users.row(ratings.user_ids()[row])?,
                movie,
                stars: target.to_stars(ratings.stars()[row]),
                timestamp: ratings.timestamps()[row],
            })
        });
        Ok(Self {
            histories: RatedBags::of_users(users.len(), rated),
            catalogue: catalogue.clone(),
            users,
        })
    }

    /// The same sequences, to the bit, out of what is known of the data that they were made of.
    ///
    /// # Errors
    /// Histories that cannot be read, or that are damaged.
    pub fn of_known(known: &Known, catalogue: &IdMap) -> Result<Self> {
        let features = known.features();
        let movies = features.movies().ids().iter();
        let items: Vec<Option<u32>> = movies.map(|&id| catalogue.row(id)).collect();
        let item = |movie: u32| items.get(movie as usize).copied().flatten();
        let trained = known.histories().trained()?;
        // Users by raw id, until it is known who has a sequence.
        let ids = (0..).zip(features.users().ids());
        let rows = ids.flat_map(|(user, &id)| trained.row(user).rows_of(id));
        let rows = rows.filter_map(|row| {
            let movie = item(row.movie)?;
            Some(Rated { movie, ..row })
        });
        let users = IdMap::from_ids(rows.clone().map(|row| row.user));
        let rated = rows.filter_map(|row| {
            let user = users.row(row.user)?;
            Some(Rated { user, ..row })
        });
        Ok(Self {
            histories: RatedBags::of_users(users.len(), rated),
            catalogue: catalogue.clone(),
            users,
        })
    }

    /// Raw ids of the users with a sequence.
    pub fn users(&self) -> &IdMap {
        &self.users
    }

    /// Raw movie ids of the items.
    pub fn catalogue(&self) -> &IdMap {
        &self.catalogue
    }

    /// What a user rated, the oldest first; nothing where there is no such user.
    pub fn of(&self, user: u32) -> RatedBag<'_> {
        self.histories.row(user)
    }

    /// Ratings in all sequences together.
    pub fn len(&self) -> usize {
        self.histories.ratings()
    }

    /// Whether there is no rating.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each user and place in the sequence but the first, in an order drawn by
    /// `seed`: what can be learned from.
    pub fn places(&self, seed: u64) -> Vec<(u32, u32)> {
        let users = 0..self.users.len() as u32;
        let places = users.flat_map(|user| {
            let places = 1..self.of(user).len() as u32;
            places.map(move |place| (user, place))
        });
        let places: Vec<(u32, u32)> = places.collect();
        Shuffle::new(places.len(), seed).apply(&places)
    }

    /// One user after another.
    fn all(&self) -> RatedBag<'_> {
        self.histories.columns(0..self.len())
    }

    /// Ratings of each item.
    pub fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.catalogue.len()];
        for &item in self.all().ids {
            counts[item as usize] += 1;
        }
        counts
    }

    /// The times at which equal shares of all ratings have passed, `parts − 1` of
    /// them, ascending.
    pub fn quantiles(&self, parts: usize) -> Vec<u32> {
        let mut times = self.all().timestamps.to_vec();
        times.sort_unstable();
        let of = |part: usize| times.get(part * times.len() / parts).copied();
        (1..parts).filter_map(of).collect()
    }

    /// Who rated what, in which order.
    pub fn fingerprint(&self) -> DataFingerprint {
        let mut ratings = RatingsHasher::new();
        let items = self.catalogue().ids();
        for (user, &id) in (0..).zip(self.users().ids()) {
            let sequence = self.of(user);
            let given = sequence.stars.iter().zip(sequence.timestamps);
            let rated = sequence.ids.iter().zip(given);
            ratings
                .add(rated.map(|(&item, (&stars, &time))| (id, items[item as usize], stars, time)));
        }
        let ids = [("users", self.users()), ("movies", self.catalogue())];
        let ids = ids.map(|(name, ids)| DataPart::of_words(name, ids.ids().iter().copied()));
        std::iter::once(ratings.finish()).chain(ids).collect()
    }

    /// What the table of movies says of the items.
    pub fn item_features(&self, data: impl Into<Interactions>) -> ItemFeatures {
        let movies = data.into().items;
        let places = movies.ids().iter().zip(0..);
        let row_of: HashMap<u32, usize> = places.map(|(&id, row)| (id, row)).collect();
        let row = |id: &u32| row_of.get(id).copied();
        let rows: Vec<Option<usize>> = self.catalogue.ids().iter().map(row).collect();
        let movies = &movies;
        let genres = |row: Option<usize>| row.into_iter().flat_map(|row| movies.genres(row));
        let year = |row: Option<usize>| row.and_then(|row| movies.year(row));

        let names: BTreeSet<String> = rows.iter().flat_map(|&row| genres(row)).collect();
        let names: Vec<String> = names.into_iter().collect();
        let known = || rows.iter().filter_map(|&row| year(row));
        let first = known().min().unwrap_or(0);
        let buckets = known().max().map_or(1, |last| (last - first) / YEARS + 2) as usize;
        let mean = known().map(f64::from).sum::<f64>() / known().count().max(1) as f64;
        let mut pairs = Vec::new();
        for ((item, &row), count) in (0..).zip(&rows).zip(self.counts()) {
            for genre in genres(row) {
                let place = names.partition_point(|name| *name < genre);
                pairs.push((item, place as u32));
            }
            let bucket = year(row).map_or(0, |year| (year - first) / YEARS + 1);
            pairs.push((item, (names.len() + bucket as usize) as u32));
            pairs.push((item, (names.len() + buckets) as u32 + (count + 1).ilog2()));
        }
        let years = rows.iter().map(|&row| year(row));
        ItemFeatures {
            bags: Bags::from_pairs(rows.len(), pairs),
            rows: names.len() + buckets + u32::BITS as usize,
            years: years
                .map(|year| year.map_or(mean as f32, |year| year as f32))
                .collect(),
        }
    }
}
