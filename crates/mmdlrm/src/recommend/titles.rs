//! Movies by what people call them.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Catalogue, Movie};
use crate::{Error, Result};

/// Articles that stand behind a title so that it sorts by its first word.
const ARTICLES: [&str; 26] = [
    "The", "A", "An", "Le", "La", "Les", "L'", "Un", "Une", "El", "Los", "Las", "Una", "Il", "Lo",
    "O", "Os", "Der", "Die", "Das", "Ein", "Eine", "Den", "Det", "De", "Het",
];
/// What stands before another title of the same movie.
const ALSO_KNOWN_AS: &str = "a.k.a. ";
/// Movies that are listed where a title is not the name of one, at most.
const MOST_MEANT: usize = 5;
/// How alike two titles are, from 0 to 1, where one may be meant by the other.
const LIKE: f32 = 0.4;
/// What another is, at least, beside the one that is most alike.
const NEARLY_AS_LIKE: f32 = 0.8;

/// Titles in lower case, to look them up.
#[derive(Debug, Clone, Default)]
pub(super) struct Titles {
    /// By dense row, as they are written, and as people say the whole of them.
    lower: Vec<[String; 2]>,
    /// Dense rows of the movies that have a title, as it is written or as people say it.
    exact: HashMap<String, Vec<u32>>,
    /// The same without the article.
    bare: HashMap<String, Vec<u32>>,
}

impl Titles {
    pub fn new(movies: &[Movie]) -> Self {
        let mut titles = Self::default();
        for (row, movie) in (0..).zip(movies) {
            let title = movie.title.to_lowercase();
            let (bare, article) = movie.bare_title();
            let full_name = movie.full_name().to_lowercase();
            let written_and_said = [&title, &movie.name().to_lowercase(), &full_name];
            for title in written_and_said.into_iter().collect::<BTreeSet<_>>() {
                titles.exact.entry(title.clone()).or_default().push(row);
            }
            if article.is_some() {
                titles
                    .bare
                    .entry(bare.to_lowercase())
                    .or_default()
                    .push(row);
            }
            titles.lower.push([title, full_name]);
        }
        titles
    }

    /// Dense rows of the movies whose title has all words of `text`, which is in lower case; those
    /// that begin with it first, and of these the shortest.
    pub fn with_words(&self, text: &str) -> Vec<u32> {
        let words: Vec<&str> = text.split_whitespace().collect();
        if words.is_empty() {
            return Vec::new();
        }
        let titles = (0..).zip(&self.lower);
        let has_all = |title: &String| words.iter().all(|word| title.contains(word));
        let found = titles.filter(|(_, titles)| titles.iter().any(has_all));
        let begins = |title: &String| title.starts_with(text.trim());
        let mut found: Vec<_> = found
            .map(|(row, titles)| (!titles.iter().any(begins), titles[0].len(), row))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(.., row)| row).collect()
    }

    /// Dense rows of the movies whose titles are spelled most like `text`, by the pairs of letters
    /// that both have (Dice, 1945).
    fn like(&self, text: &str) -> Vec<u32> {
        let pairs = |text: &str| -> HashSet<(char, char)> {
            text.chars().zip(text.chars().skip(1)).collect()
        };
        let own = pairs(text);
        let titles = (0..).zip(&self.lower);
        let mut found: Vec<(f32, u32)> = titles
            .filter_map(|(row, [title, _])| {
                let others = pairs(title);
                let both = others.intersection(&own).count();
                let like = 2.0 * both as f32 / (own.len() + others.len()).max(1) as f32;
                (like >= LIKE).then_some((like, row))
            })
            .collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let least = found
            .first()
            .map_or(0.0, |&(like, _)| NEARLY_AS_LIKE * like);
        found.retain(|&(like, _)| like >= least);
        found.into_iter().map(|(_, row)| row).collect()
    }
}

impl Movie {
    /// The title as people say it, its article in front and without other titles in brackets: of
    /// `City of Lost Children, The (Cité des enfants perdus, La)`, `The City of Lost Children`.
    pub fn name(&self) -> String {
        said(self.bare_title())
    }

    /// The whole title as people say it, the articles of other titles in brackets in front too:
    /// `The City of Lost Children (La Cité des enfants perdus)`.
    pub fn full_name(&self) -> String {
        let (_, others) = self.titles();
        let mut name = self.name();
        for other in others.split_inclusive(')') {
            let inner = other.strip_prefix(" (").and_then(|it| it.strip_suffix(')'));
            let Some(title) = inner else {
                name.push_str(other);
                continue;
            };
            let (also, title) = match title.strip_prefix(ALSO_KNOWN_AS) {
                Some(title) => (ALSO_KNOWN_AS, title),
                None => ("", title),
            };
            name.push_str(&format!(" ({also}{})", said(split_article(title))));
        }
        name
    }

    /// The title without other titles in brackets, and the article that stands behind it.
    fn bare_title(&self) -> (&str, Option<&str>) {
        split_article(self.titles().0)
    }

    /// The title, and others in brackets behind it.
    fn titles(&self) -> (&str, &str) {
        match self.title.find(" (") {
            Some(end) if self.title.ends_with(')') => self.title.split_at(end),
            _ => (&self.title, ""),
        }
    }

    /// Title and year, as they are written.
    fn titled(&self) -> String {
        match self.year {
            Some(year) => format!("{} ({year})", self.title),
            None => self.title.clone(),
        }
    }
}

impl Catalogue {
    /// The one movie that is called `title`, whatever the case: by its whole title, as it is
    /// written or said (`Matrix, The` or `The Matrix`), with its year behind it or without; else
    /// without its article; else by words that its title alone has.
    ///
    /// # Errors
    /// [`Error::UnknownTitle`] and [`Error::AmbiguousTitle`], with what could be meant.
    pub fn by_title(&self, title: &str) -> Result<&Movie> {
        let lower = title.trim().to_lowercase();
        let (text, year) = split_year(&lower);
        let of_year = |rows: Vec<u32>| -> Vec<&Movie> {
            let movies = rows.into_iter().map(|row| &self.movies()[row as usize]);
            movies
                .filter(|movie| year.is_none() || movie.year == year)
                .collect()
        };
        let of = |titles: &HashMap<String, Vec<u32>>| titles.get(text).cloned().unwrap_or_default();
        let mut found = of_year(of(&self.titles.exact));
        if found.is_empty() {
            found = of_year(of(&self.titles.bare));
        }
        if found.is_empty() {
            found = of_year(self.titles.with_words(text));
        }
        let listed = |movies: &[&Movie]| {
            let movies = movies.iter().take(MOST_MEANT);
            movies.map(|movie| movie.titled()).collect::<Vec<_>>()
        };
        match found.as_slice() {
            [one] => Ok(one),
            [] => {
                let like = self.titles.like(text).into_iter();
                let like: Vec<&Movie> = like.map(|row| &self.movies()[row as usize]).collect();
                Err(Error::UnknownTitle {
                    title: title.to_owned(),
                    like: listed(&like),
                })
            }
            several => Err(Error::AmbiguousTitle {
                title: title.to_owned(),
                count: several.len(),
                meant: listed(several),
            }),
        }
    }
}

/// A title, and the article that stands behind it.
fn split_article(title: &str) -> (&str, Option<&str>) {
    match title.rsplit_once(", ") {
        Some((title, article)) if ARTICLES.contains(&article) => (title, Some(article)),
        _ => (title, None),
    }
}

/// With the article in front.
fn said((title, article): (&str, Option<&str>)) -> String {
    match article {
        None => title.to_owned(),
        Some(article) if article.ends_with('\'') => format!("{article}{title}"),
        Some(article) => format!("{article} {title}"),
    }
}

/// A title and the year in brackets behind it.
fn split_year(text: &str) -> (&str, Option<i32>) {
    let split = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('));
    match split.map(|(title, year)| (title.trim_end(), year.parse())) {
        Some((title, Ok(year))) if !title.is_empty() => (title, Some(year)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn movie(id: u32, title: &str, year: i32) -> Movie {
        Movie {
            id,
            title: title.to_owned(),
            year: Some(year),
            genres: Vec::new(),
            named: None,
        }
    }

    #[test]
    fn articles_come_first_and_other_titles_fall_away() {
        for (title, name, full_name) in [
            ("Matrix, The", "The Matrix", "The Matrix"),
            (
                "City of Lost Children, The (Cité des enfants perdus, La)",
                "The City of Lost Children",
                "The City of Lost Children (La Cité des enfants perdus)",
            ),
            (
                "Avventura, L' (a.k.a. Adventure, The)",
                "L'Avventura",
                "L'Avventura (a.k.a. The Adventure)",
            ),
            ("I, Robot", "I, Robot", "I, Robot"),
            (
                "(500) Days of Summer",
                "(500) Days of Summer",
                "(500) Days of Summer",
            ),
            (
                "Supercop (Police Story 3) (Jing cha)",
                "Supercop",
                "Supercop (Police Story 3) (Jing cha)",
            ),
            (
                "Odd, The (One (Two)) (",
                "Odd, The (One (Two)) (",
                "Odd, The (One (Two)) (",
            ),
            ("Odd, The (One (Two))", "The Odd", "The Odd (One (Two))"),
            ("", "", ""),
        ] {
            let movie = movie(1, title, 2000);
            assert_eq!(
                (movie.name(), movie.full_name()),
                (name.into(), full_name.into())
            );
        }
    }

    #[test]
    fn titles_are_found_as_they_are_written_and_as_they_are_said() {
        let lost = "City of Lost Children, The (Cité des enfants perdus, La)";
        let titles = Titles::new(&[movie(1, lost, 1995), movie(2, "Avventura, L'", 1960)]);
        for (text, row) in [
            (
                "city of lost children, the (cité des enfants perdus, la)",
                0,
            ),
            ("the city of lost children (la cité des enfants perdus)", 0),
            ("the city of lost children", 0),
            ("l'avventura", 1),
        ] {
            assert_eq!(titles.exact[text], [row], "{text}");
            assert_eq!(titles.with_words(text), [row], "{text}");
        }
        assert_eq!(titles.with_words("(la cité"), [0]);
        assert_eq!(titles.with_words("avventura, l'"), [1]);
        assert_eq!(titles.exact["avventura, l'"], [1]);
    }

    #[test]
    fn titles_are_told_from_years_in_brackets() {
        assert_eq!(split_year("fargo (1996)"), ("fargo", Some(1996)));
        assert_eq!(split_year("fargo(1996)"), ("fargo", Some(1996)));
        for text in ["fargo", "(1996)", "amelie (fabuleux)", "x ()", ")", ""] {
            assert_eq!(split_year(text), (text, None));
        }
    }
}
