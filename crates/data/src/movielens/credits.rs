use std::collections::HashMap;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::text::{Dialect, TableFile};
use crate::{IdMap, Modality, Result};

/// Numbers of a movie's vector.
const WIDTH: usize = 1024;

/// Who took part in which movie, and as what.
///
/// ```
/// use mmdlrm_data::{Credits, IdMap};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("credits.csv");
/// let table = "movieId,role,name\n1,director,John Lasseter\n2355,director,John Lasseter\n\
///              2355,director,Andrew Stanton\n6377,director,Andrew Stanton\n";
/// std::fs::write(&path, table)?;
/// let credits = Credits::read(&path)?.modality(&IdMap::from_ids([1, 2355, 6377]))?;
///
/// let vector = |movie| credits.vector(movie).into_iter().flatten().map(|x| x.to_f32());
/// let product = |a, b| vector(a).zip(vector(b)).map(|(x, y)| x * y).sum::<f32>();
/// assert!(product(1, 2355) > product(1, 6377));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Credits {
    /// Raw movie id, and the hash of a role and a name in it; each pair once, ascending.
    pairs: Vec<(u32, u64)>,
}

impl Credits {
    /// Reads a `credits.csv` (`movieId,role,name`), any number of rows a movie. Who did two
    /// things, as to write and to direct, is two.
    ///
    /// # Errors
    /// A row that cannot be read, or without a role or a name.
    pub fn read(path: &Path) -> Result<Self> {
        let mut pairs = Vec::new();
        for_each_credit(path, |movie_id, role, name| {
            // No text has a zero in it, so that no two pairs make one.
            let both = [role.as_bytes(), &[0], name.as_bytes()].concat();
            pairs.push((movie_id, xxh3_64(&both)));
        })?;
        pairs.sort_unstable();
        pairs.dedup();
        Ok(Self { pairs })
    }

    /// As a modality, `"credits"`, for the catalogue `movies`: vectors whose products say how
    /// much of their credits two movies share, the rarer a credit the more.
    ///
    /// With `n_c` of `n` movies that have the credit `c`, a movie's vector has `±ln(n / n_c)` added
    /// at a place of each of its credits, sign and place being hashes of role and name (Weinberger
    /// et al., 2009), and is divided by its length.
    ///
    /// # Errors
    /// As [`Modality::standardized`].
    pub fn modality(&self, movies: &IdMap) -> Result<Modality> {
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for (_, credit) in &self.pairs {
            *counts.entry(*credit).or_default() += 1;
        }
        let of_movies = || self.pairs.chunk_by(|(a, _), (b, _)| a == b);
        let count = of_movies().count() as f32;
        // Movies outside the catalogue are counted, and get no room.
        let known = || of_movies().filter(|credits| movies.row(credits[0].0).is_some());
        let mut vectors = vec![0.0; known().count() * WIDTH];
        for (credits, vector) in known().zip(vectors.chunks_exact_mut(WIDTH)) {
            for (_, credit) in credits {
                let sign = if credit >> 63 == 0 { 1.0 } else { -1.0 };
                let rarity = (count / counts[credit] as f32).ln();
                vector[*credit as usize % WIDTH] += sign * rarity;
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            // One credit in all movies, or two that cancel each other, say nothing.
            if length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
        }
        let mut rows = vectors.chunks_exact(WIDTH);
        let vectors = of_movies().map(|credits| {
            let id = credits[0].0;
            let row = movies.row(id).and_then(|_| rows.next());
            (id, row.unwrap_or_default())
        });
        Modality::standardized("credits", WIDTH, movies, vectors)
    }
}

/// A row of a `credits.csv`.
///
/// ```
/// use mmdlrm_data::Credit;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("credits.csv");
/// std::fs::write(&path, "movieId,role,name\n1,director,John Lasseter\n")?;
/// let credits = Credit::read_all(&path)?;
/// assert_eq!((credits[0].movie_id, &*credits[0].name), (1, "John Lasseter"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credit {
    /// Raw movie id.
    pub movie_id: u32,
    /// What somebody did for it, as the file has it.
    pub role: String,
    /// Who.
    pub name: String,
}

impl Credit {
    /// All rows, in the order of the file.
    ///
    /// # Errors
    /// As [`Credits::read`].
    pub fn read_all(path: &Path) -> Result<Vec<Self>> {
        let mut credits = Vec::new();
        for_each_credit(path, |movie_id, role, name| {
            credits.push(Self {
                movie_id,
                role: role.to_owned(),
                name: name.to_owned(),
            });
        })?;
        Ok(credits)
    }
}

/// Hands out movie, role and name of each row.
fn for_each_credit(path: &Path, mut take: impl FnMut(u32, &str, &str)) -> Result<()> {
    TableFile::open(path, &Dialect::Csv, &["movieId", "role", "name"])?.for_each(|row| {
        let (role, name) = (row.text(1)?, row.text(2)?);
        let (role, name) = (role.trim(), name.trim());
        for (column, text) in [(1, role), (2, name)] {
            if text.is_empty() {
                return Err(row.bad(column, "is blank; write it or remove the row"));
            }
        }
        take(row.id(0)?, role, name);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &str) -> Result<Credits> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credits.csv");
        std::fs::write(&path, table).unwrap();
        Credits::read(&path)
    }

    #[test]
    fn order_repetition_and_blanks_around_do_not_matter() {
        let movies = IdMap::from_ids([1, 2, 3]);
        let rows = "1,actor,A\n1,director,B\n2,actor,A\n3,writer,\"C, D\"\n";
        let others = "3,writer,\"C, D\"\n2, actor , A\n1,director,B\n2,actor,A\n1,actor,A\n";
        let of = |rows: &str| {
            let credits = read(&format!("movieId,role,name\n{rows}")).unwrap();
            credits.modality(&movies).unwrap()
        };
        assert_eq!(of(rows), of(others));
        assert_ne!(of(rows), of(&rows.replace("1,actor", "1,writer")));
    }

    #[test]
    fn rows_that_name_nobody_are_refused_by_line() {
        for row in ["1,actor, ", "1,,A", "x,actor,A"] {
            let error = read(&format!("movieId,role,name\n2,actor,A\n{row}\n")).unwrap_err();
            assert!(error.to_string().contains("line 3"), "{error}");
        }
        let error = read("movieId,name\n1,A\n").unwrap_err().to_string();
        assert!(error.contains("role"), "{error}");
    }

    #[test]
    fn movies_outside_the_catalogue_are_counted() {
        let credits = read("movieId,role,name\n1,actor,A\n9,actor,A\n").unwrap();
        let modality = credits.modality(&IdMap::from_ids([1])).unwrap();
        assert_eq!((modality.present(), modality.left_out()), (1, 1));
    }
}
