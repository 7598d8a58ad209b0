//! Ten users with what they liked and what is recommended.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mmdlrm_data::{HIGHEST_RATING, LOWEST_RATING, Target};
use mmdlrm_encoders::thumbnail;
use mmdlrm_features::TrainingData;
use mmdlrm_model::top_k;
use mmdlrm_train::{Ranker, Who, score_all, stars_of};

use crate::{Catalogue, Result, Words};

const PEOPLE: usize = 10;
/// Movies of each kind.
const FILMS: usize = 5;
/// Pixels of a poster's height; it is shown half as high where screens are fine.
const POSTER_HEIGHT: u32 = 240;
/// Bytes of a picture that is opened.
const LARGEST_POSTER: u64 = 20 << 20;

pub(super) struct Person {
    pub user: String,
    /// Training ratings.
    pub ratings: usize,
    pub liked: Vec<Film>,
    pub recommended: Vec<Film>,
    /// Whether those come with the stars that the model predicts.
    pub is_predicted: bool,
}

pub(super) struct Film {
    pub title: String,
    /// As a `data:` address.
    pub poster: Option<String>,
    /// What the user gave, or would by the model, where that predicts any.
    pub stars: Option<String>,
    /// What the user gave, where that was held out.
    pub gave: Option<String>,
}

/// A user while the page is made.
struct Chosen {
    trained: Vec<(u32, f32)>,
    known: Vec<u32>,
    held_out: Vec<(u32, f32)>,
}

/// Ten users with held-out ratings, from the one with the fewest training ratings of ten
/// to the one with the most.
pub(super) fn people(
    model: &dyn Ranker,
    data: &dyn TrainingData,
    catalogue: &Catalogue,
    words: &Words,
) -> Result<Vec<Person>> {
    let chosen = choose(data)?;
    let movies = data.features().movies().len();
    let users: Vec<u32> = chosen.keys().copied().collect();
    let mut scores = Vec::new();
    score_all(model, Who::Users(&users), movies, &mut scores)?;
    let mut people = Vec::new();
    let of_users = scores.chunks_exact(movies.max(1));
    for ((&user, chosen), scores) in chosen.iter().zip(of_users) {
        let is_told = words.target != Target::Implicit;
        let film = |movie: u32, stars: Option<f32>, gave: Option<f32>| {
            let told = |stars: Option<f32>| stars.filter(|_| is_told);
            Film::new(catalogue, movie, told(stars), told(gave), words)
        };
        let mut liked = chosen.trained.clone();
        // Of movies as much liked the one rated last.
        liked.reverse();
        liked.sort_by(|a, b| b.1.total_cmp(&a.1));
        liked.truncate(FILMS);
        let best = top_k(scores, FILMS, &chosen.known);
        let best: Vec<u32> = best.into_iter().map(|(movie, _)| movie).collect();
        let stars = stars_of(model, Who::Users(&[user]), &best)?;
        let stars_at = |place: usize| stars.as_ref().map(|stars| stars[place]);
        let gave = |movie: u32| {
            let mut held_out = chosen.held_out.iter();
            held_out.find(|it| it.0 == movie).map(|it| it.1)
        };
        people.push(Person {
            user: data
                .features()
                .users()
                .name(user)
                .unwrap_or_default()
                .into_owned(),
            ratings: chosen.trained.len(),
            is_predicted: stars.is_some(),
            liked: liked
                .iter()
                .map(|&(movie, stars)| film(movie, Some(stars), None))
                .collect(),
            recommended: best
                .iter()
                .enumerate()
                .map(|(place, &movie)| film(movie, stars_at(place), gave(movie)))
                .collect(),
        });
    }
    people.sort_by_key(|person| person.ratings);
    Ok(people)
}

fn choose(data: &dyn TrainingData) -> Result<BTreeMap<u32, Chosen>> {
    let counts = data.features().user_counts();
    let mut users = Vec::new();
    data.for_each_user(|user| {
        if !user.held_out.is_empty() {
            users.push(user.user);
        }
        Ok::<_, mmdlrm_data::Error>(())
    })?;
    users.sort_by_key(|&user| (counts[user as usize], user));
    let places = (0..PEOPLE).map(|place| (2 * place + 1) * users.len() / (2 * PEOPLE));
    let wanted: Vec<u32> = places
        .filter_map(|place| users.get(place).copied())
        .collect();
    let mut chosen = BTreeMap::new();
    data.for_each_user(|test| {
        if wanted.contains(&test.user) {
            let of_user = Chosen {
                trained: test.trained.stars_by_id().collect(),
                known: test.known(),
                held_out: test.held_out.stars_by_id().collect(),
            };
            chosen.insert(test.user, of_user);
        }
        Ok::<_, mmdlrm_data::Error>(())
    })?;
    Ok(chosen)
}

impl Film {
    fn new(
        catalogue: &Catalogue,
        row: u32,
        stars: Option<f32>,
        gave: Option<f32>,
        words: &Words,
    ) -> Self {
        let movie = &catalogue.movies()[row as usize];
        let year = movie
            .year
            .map_or(String::new(), |year| format!(" ({year})"));
        let within = |stars: f32| match words.target.is_probability() {
            true => words.amount(stars),
            false => words.amount(stars.clamp(LOWEST_RATING, HIGHEST_RATING)),
        };
        Self {
            title: format!("{}{year}", movie.title),
            poster: poster(catalogue, movie.id),
            stars: stars.map(within),
            gave: gave.map(|stars| words.amount(stars)),
        }
    }
}

/// A picture that cannot be used is none.
fn poster(catalogue: &Catalogue, movie_id: u32) -> Option<String> {
    let path = catalogue.poster(movie_id)?;
    if std::fs::metadata(path).ok()?.len() > LARGEST_POSTER {
        return None;
    }
    let jpeg = thumbnail(&std::fs::read(path).ok()?, POSTER_HEIGHT).ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)))
}
