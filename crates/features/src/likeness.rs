use half::slice::HalfFloatSliceExt;
use mmdlrm_data::Modality;
use mmdlrm_kernels::{Panels, copy_rows, dot, store};
use rayon::prelude::*;

use crate::Features;

/// Movies like another that are kept.
const KEPT: usize = 64;
/// Movies that are compared with all others at a time, on a thread.
const ROWS: usize = 32;
/// Years of release in which likeness in genres falls to 1/e.
const YEARS: f32 = 8.0;

/// Which movies are alike in what they are, whoever rated them: in genres and years, and in the
/// vectors of each modality.
///
/// For movies with unit vectors `v`, of genres weighted by `ln(movies / movies of the genre)`, and
/// years of release `y`,
///
/// ```text
/// like(a, b) = v_a · v_b                            of a modality
/// like(a, b) = v_a · v_b · exp(−|y_a − y_b| / 8)    of genres and years
/// ```
///
/// Of each movie that is asked for the 64 most alike in each are kept, none of which is 0 or below.
/// Nothing depends on ratings. It takes the products of these with all movies.
///
/// ```
/// use mmdlrm_data::{MovieLens, Split, generate};
/// use mmdlrm_features::{Dataset, Likeness, TrainingData};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path().join("sample");
/// generate::write(&folder, &generate::GeneratorConfig::tiny(), |_| {})?;
/// let movielens = MovieLens::open(&folder)?;
/// let split = Split::random(movielens.ratings.len(), 0.2, 42)?;
/// let dataset = Dataset::new(&movielens, split, Vec::new())?;
/// let likeness = Likeness::of(dataset.features(), |_| true);
/// assert_eq!(likeness.names(), ["genre"]);
/// let alike: Vec<f32> = likeness.nearest(0, 7).map(|(_movie, likeness)| likeness).collect();
/// assert!(alike.is_sorted_by(|a, b| a >= b));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Likeness {
    names: Vec<String>,
    relations: Vec<Relation>,
}

/// Movies like each movie, the most alike first.
#[derive(Debug, Clone)]
struct Relation {
    offsets: Vec<usize>,
    nearest: Vec<(u32, f32)>,
}

impl Likeness {
    /// Of the movies that `features` know; for those of them that are `wanted` it is found out
    /// which are like them.
    pub fn of(features: &Features, wanted: impl Fn(u32) -> bool) -> Self {
        let wanted = (0..features.movies().len() as u32).map(wanted);
        let wanted: Vec<bool> = wanted.collect();
        let years = features.years();
        let near = |a: u32, b: u32| {
            let apart = (years[a as usize] - years[b as usize]).abs();
            (-apart / YEARS).exp()
        };
        let of_genres = Vectors::of_genres(features).relation(&wanted, near);
        let modalities = features.modalities();
        let of_modalities = modalities
            .iter()
            .map(|modality| Vectors::of_modality(modality).relation(&wanted, |_, _| 1.0));
        let names = modalities.iter().map(Modality::name);
        Self {
            names: [Features::GENRE]
                .into_iter()
                .chain(names)
                .map(str::to_owned)
                .collect(),
            relations: [of_genres].into_iter().chain(of_modalities).collect(),
        }
    }

    /// What movies are alike in: genres and years, then the modalities.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The movies that are most like `movie` in the `relation`-th of the names, and how much.
    ///
    /// # Panics
    /// Where there is no such relation or movie.
    pub fn nearest(&self, relation: usize, movie: u32) -> impl Iterator<Item = (u32, f32)> {
        let Relation { offsets, nearest } = &self.relations[relation];
        let movie = movie as usize;
        nearest[offsets[movie]..offsets[movie + 1]].iter().copied()
    }
}

/// Unit vectors of some movies, `[rows, width]`.
struct Vectors {
    width: usize,
    values: Vec<f32>,
    /// Whose they are, ascending.
    movies: Vec<u32>,
}

impl Vectors {
    fn of_genres(features: &Features) -> Self {
        let movies = 0..features.movies().len() as u32;
        let width = features.genre_names().len();
        let mut counts = vec![0.0f32; width];
        for movie in movies.clone() {
            for &genre in features.genres(movie) {
                counts[genre as usize] += 1.0;
            }
        }
        let mut values = vec![0.0; movies.len() * width];
        for (movie, vector) in movies.clone().zip(values.chunks_exact_mut(width.max(1))) {
            for &genre in features.genres(movie) {
                vector[genre as usize] = (movies.len() as f32 / counts[genre as usize]).ln();
            }
        }
        Self::new(values, width, movies.collect())
    }

    fn of_modality(modality: &Modality) -> Self {
        let width = modality.width();
        let (mut values, mut movies) = (Vec::new(), Vec::new());
        for (movie, &row) in (0..).zip(modality.row_of_movie()) {
            if row != Modality::MISSING {
                let start = row as usize * width;
                let place = values.len();
                values.resize(place + width, 0.0);
                modality.values()[start..start + width].convert_to_f32_slice(&mut values[place..]);
                movies.push(movie);
            }
        }
        Self::new(values, width, movies)
    }

    fn new(mut values: Vec<f32>, width: usize, movies: Vec<u32>) -> Self {
        for vector in values.chunks_exact_mut(width.max(1)) {
            let length = dot(vector, vector).sqrt();
            if length > 0.0 {
                vector.iter_mut().for_each(|x| *x /= length);
            }
        }
        Self {
            width,
            values,
            movies,
        }
    }

    /// Of the `wanted` of all movies; products are multiplied by what `weigh` says of the pair.
    fn relation(&self, wanted: &[bool], weigh: impl Fn(u32, u32) -> f32 + Sync) -> Relation {
        let panels = Panels::of_transposed(&self.values, self.movies.len(), self.width);
        let rows = (0..).zip(&self.movies);
        let rows = rows.filter(|&(_, &movie)| wanted[movie as usize]);
        let rows: Vec<(usize, u32)> = rows.map(|(row, &movie)| (row, movie)).collect();
        let blocks = rows.par_chunks(ROWS);
        let of_blocks: Vec<Vec<Vec<(u32, f32)>>> = blocks
            .map_init(Vec::new, |products, block| {
                self.products(block, &panels, products);
                let products = products.chunks_exact(self.movies.len());
                let of_rows = products.zip(block);
                of_rows
                    .map(|(products, &(_, movie))| self.nearest(movie, products, &weigh))
                    .collect()
            })
            .collect();
        let mut relation = Relation {
            offsets: vec![0],
            nearest: Vec::new(),
        };
        for (&(_, movie), nearest) in rows.iter().zip(of_blocks.iter().flatten()) {
            // Those in between have no vector, or are not wanted.
            relation
                .offsets
                .resize(movie as usize + 1, relation.nearest.len());
            relation.nearest.extend(nearest);
        }
        relation
            .offsets
            .resize(wanted.len() + 1, relation.nearest.len());
        relation
    }

    /// Products of some rows with all, `[block, rows]`.
    fn products(&self, block: &[(usize, u32)], panels: &Panels, out: &mut Vec<f32>) {
        let rows = block.iter();
        let lefts = rows.map(|&(row, _)| &self.values[row * self.width..][..self.width]);
        let lefts = lefts.collect::<Vec<_>>().concat();
        let lefts = copy_rows(&lefts, self.width);
        out.resize(block.len() * self.movies.len(), 0.0);
        let out = (out.as_mut_slice(), self.movies.len());
        panels.multiply(lefts, block.len(), out, store(), &mut Vec::new());
    }

    /// The movies most like one, by its products with all; of those that are as much alike the
    /// first.
    fn nearest(
        &self,
        movie: u32,
        products: &[f32],
        weigh: impl Fn(u32, u32) -> f32,
    ) -> Vec<(u32, f32)> {
        let alike = self.movies.iter().zip(products);
        let alike = alike.filter(|&(&other, &product)| other != movie && product > 0.0);
        let alike = alike.map(|(&other, &product)| (other, product * weigh(movie, other)));
        // Years that are far apart weigh nothing.
        let mut alike: Vec<(u32, f32)> = alike.filter(|&(_, like)| like > 0.0).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if alike.len() > KEPT {
            alike.select_nth_unstable_by(KEPT, order);
            alike.truncate(KEPT);
        }
        // Of all movies together what is beyond would be many times what is kept.
        alike.shrink_to_fit();
        alike.sort_unstable_by(order);
        alike
    }
}

#[cfg(test)]
mod tests {
    use mmdlrm_data::IdMap;

    use super::*;

    #[test]
    fn the_most_alike_are_those_of_the_largest_products() {
        let (movies, width) = (150, 5);
        let ids = IdMap::from_ids(0..movies as u32);
        // Every seventh movie has no vector.
        let has_one = |movie: u32| !movie.is_multiple_of(7);
        let vector = |movie: u32| -> Vec<f32> {
            let number = |at: u32| ((movie * 31 + at * 17) * 7919 % 1009) as f32 / 1009.0 - 0.5;
            (0..width as u32).map(number).collect()
        };
        let vectors: Vec<(u32, Vec<f32>)> = (0..movies as u32)
            .filter(|&movie| has_one(movie))
            .map(|movie| (movie, vector(movie)))
            .collect();
        let vectors = vectors
            .iter()
            .map(|(movie, vector)| (*movie, vector.as_slice()));
        let modality = Modality::standardized("sound", width, &ids, vectors).unwrap();
        let far = |a: u32, b: u32| 1.0 / (1.0 + a.abs_diff(b) as f32);
        let relation = Vectors::of_modality(&modality).relation(&vec![true; movies], far);
        let likeness = Likeness {
            names: vec!["sound".to_owned()],
            relations: vec![relation],
        };

        let of = |movie: u32| {
            let row: Vec<f64> = modality
                .vector(movie)
                .unwrap()
                .iter()
                .map(|x| x.to_f64())
                .collect();
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.into_iter().map(move |x| x / length).collect::<Vec<_>>()
        };
        for movie in (0..movies as u32).filter(|&movie| has_one(movie)) {
            let others = (0..movies as u32).filter(|&other| has_one(other) && other != movie);
            let alike = others.map(|other| {
                let product: f64 = of(movie).iter().zip(of(other)).map(|(x, y)| x * y).sum();
                product * f64::from(far(movie, other))
            });
            let mut alike: Vec<f64> = alike.filter(|&it| it > 0.0).collect();
            alike.sort_by(|a, b| b.total_cmp(a));
            alike.truncate(KEPT);
            let found: Vec<f32> = likeness.nearest(0, movie).map(|(_, like)| like).collect();
            assert_eq!(found.len(), alike.len());
            for (found, like) in found.iter().zip(alike) {
                assert!((f64::from(*found) - like).abs() < 1e-5, "{found} {like}");
            }
        }
        assert_eq!(likeness.nearest(0, 7).count(), 0);
    }
}
