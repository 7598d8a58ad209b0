//! Words: titles, genres, tags and plots.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::world::{TRAITS, Traits};

/// For each trait the words of its low end and of its high end.
const WORDS: [[[&str; 6]; 2]; TRAITS] = [
    [
        [
            "arctic",
            "winter",
            "glacier",
            "submarine",
            "moonlit",
            "harbour",
        ],
        [
            "desert", "summer", "volcano", "festival", "sunlit", "vineyard",
        ],
    ],
    [
        ["murder", "funeral", "prison", "betrayal", "ghost", "plague"],
        [
            "wedding",
            "holiday",
            "carnival",
            "friendship",
            "puppy",
            "picnic",
        ],
    ],
    [
        [
            "hermit",
            "lighthouse",
            "letter",
            "silence",
            "chess",
            "diary",
        ],
        [
            "army",
            "stadium",
            "parade",
            "rebellion",
            "orchestra",
            "crowd",
        ],
    ],
    [
        ["dream", "river", "dance", "garden", "witch", "legend"],
        [
            "robot",
            "factory",
            "computer",
            "bank",
            "spaceship",
            "laboratory",
        ],
    ],
];

const HEROES: [&str; 8] = [
    "sailor",
    "teacher",
    "widow",
    "twin",
    "detective",
    "farmer",
    "singer",
    "stranger",
];
const VERBS: [&str; 6] = ["finds", "fears", "remembers", "crosses", "saves", "loses"];
const GENRES: [[&str; 2]; TRAITS] = [
    ["Mystery", "Adventure"],
    ["Crime", "Comedy"],
    ["Drama", "War"],
    ["Fantasy", "Sci-Fi"],
];
/// How often a movie's genre follows its trait; the rest is chance.
const GENRE_TRUTH: f64 = 0.65;

pub(super) fn title(random: &mut ChaCha8Rng) -> String {
    let hero = pick(&HEROES, random);
    let verb = pick(&VERBS, random);
    format!(
        "The {} Who {} No. {}",
        capital(hero),
        capital(verb),
        random.random_range(1..1000)
    )
}

/// One or two genres that hint at two of the traits.
pub(super) fn genres(traits: &Traits, random: &mut ChaCha8Rng) -> String {
    let mut chosen: Vec<&str> = Vec::new();
    for (names, value) in GENRES.iter().zip(traits) {
        if random.random_bool(0.4) {
            let told = random.random_bool(GENRE_TRUTH);
            chosen.push(names[usize::from((*value > 0.0) == told)]);
        }
    }
    if chosen.is_empty() {
        "(no genres listed)".to_owned()
    } else {
        chosen.join("|")
    }
}

/// A word for the strongest trait.
pub(super) fn tag(traits: &Traits) -> &'static str {
    let mut strongest = 0;
    for (trait_number, value) in traits.iter().enumerate() {
        if value.abs() > traits[strongest].abs() {
            strongest = trait_number;
        }
    }
    WORDS[strongest][usize::from(traits[strongest] > 0.0)][0]
}

/// Three sentences whose nouns lean to the ends that the traits lean to.
pub(super) fn write(traits: &Traits, random: &mut ChaCha8Rng) -> String {
    let mut nouns = Vec::new();
    for (ends, value) in WORDS.iter().zip(traits) {
        for _ in 0..3 {
            let high = random.random_bool(f64::from(value + 1.0) / 2.0);
            nouns.push(pick(&ends[usize::from(high)], random));
        }
    }
    nouns.rotate_left(random.random_range(0..TRAITS * 3));
    let sentences: Vec<String> = nouns
        .chunks(4)
        .map(|nouns| {
            format!(
                "A {} {} the {}, the {}, a {} and one last {}.",
                pick(&HEROES, random),
                pick(&VERBS, random),
                nouns[0],
                nouns[1],
                nouns[2],
                nouns[3]
            )
        })
        .collect();
    sentences.join(" ")
}

fn pick<'a>(words: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    words.choose(random).copied().unwrap_or_default()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
