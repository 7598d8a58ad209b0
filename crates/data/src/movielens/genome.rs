use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, UInt32Type};
use arrow_array::{FixedSizeListArray, Float32Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use rayon::prelude::*;

use crate::text::{Blocks, Columns, Dialect, FULL, TableFile, Texts, decimal, digits, line_end};
use crate::{Error, IdMap, Modality, Result};

const SCORE_COLUMNS: [&str; 3] = ["movieId", "tagId", "relevance"];

/// Numbers of the table of scores, movies × tags, that there may be at least: 64 MiB.
const FREE_NUMBERS: usize = 16 << 20;
/// Those that there may be for each score in the file, which takes 6 bytes or more:
/// releases have 1, since they score every tag for every movie.
const NUMBERS_PER_SCORE: usize = 8;

/// The tag genome (Vig, Sen and Riedl 2012): how well each of some tags fits
/// each of some movies.
///
/// Two Arrow tables. The scores are kept a row a movie, 62 MB for ml-25m, since
/// the releases give every tag for every movie they cover.
///
/// | table | column | Arrow type | |
/// | --- | --- | --- | --- |
/// | tags | `tagId` | `UInt32` | raw id, ascending |
/// | | `tag` | `Utf8` | |
/// | scores | `movieId` | `UInt32` | raw id, ascending |
/// | | `relevance` | `FixedSizeList<Float32>` | 0 to 1, an entry a tag; 0 where the file has none |
#[derive(Debug, Clone)]
pub struct Genome {
    tags: RecordBatch,
    scores: RecordBatch,
}

/// The columns of `genome-scores.csv`.
#[derive(Default)]
struct Scores {
    movies: Vec<u32>,
    tags: Vec<u32>,
    relevance: Vec<f32>,
}

impl Genome {
    /// Reads `genome-tags.csv` and `genome-scores.csv`.
    pub(crate) fn read(tags_path: &Path, scores_path: &Path) -> Result<Self> {
        let (tag_ids, tags) = read_tags(tags_path)?;
        let scores = match Scores::read_plain(scores_path, &tag_ids) {
            Some(scores) => scores,
            None => Scores::read_rows(scores_path, &tag_ids)?,
        };
        let scores = scores.table(&tag_ids, scores_path)?;
        Ok(Self { tags, scores })
    }

    /// The table of tags.
    pub fn tags(&self) -> &RecordBatch {
        &self.tags
    }

    /// The table of scores.
    pub fn scores(&self) -> &RecordBatch {
        &self.scores
    }

    /// Number of tags: the length of a movie's vector.
    pub fn width(&self) -> usize {
        self.tags.num_rows()
    }

    /// The vectors as a modality, `"genome"`, for the catalogue `movies`.
    ///
    /// # Errors
    /// As [`Modality::standardized`].
    pub fn modality(&self, movies: &IdMap) -> Result<Modality> {
        let ids = self.scores.column(0).as_primitive::<UInt32Type>();
        let values = self.scores.column(1).as_fixed_size_list().values();
        let values = values.as_primitive::<Float32Type>().values();
        let ids = ids.values().iter().copied();
        let vectors = ids.zip(values.chunks_exact(self.width()));
        Modality::standardized("genome", self.width(), movies, vectors)
    }
}

fn read_tags(path: &Path) -> Result<(IdMap, RecordBatch)> {
    let mut named = Vec::new();
    TableFile::open(path, &Dialect::Csv, &["tagId", "tag"])?.for_each(|row| {
        named.push((row.id(0)?, row.text(1)?.into_owned(), row.line()));
        Ok(())
    })?;
    named.sort();
    if let Some(twice) = named.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::Row {
            path: path.to_owned(),
            line: twice[1].2,
            column: "tagId".to_owned(),
            problem: format!(
                "'{}' stands on an earlier line too; keep one of them",
                twice[1].0
            ),
        });
    }
    let ids: Vec<u32> = named.iter().map(|&(id, ..)| id).collect();
    let mut names = Texts::default();
    for (_, name, line) in &named {
        names.push(name).ok_or_else(|| Error::Row {
            path: path.to_owned(),
            line: *line,
            column: "tag".to_owned(),
            problem: format!("the tag {FULL}"),
        })?;
    }
    let schema = Schema::new(vec![
        Field::new("tagId", DataType::UInt32, false),
        Field::new("tag", DataType::Utf8, false),
    ]);
    let table = RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(UInt32Array::from(ids.clone())),
            Arc::new(names.array().map_err(Error::arrow(path))?),
        ],
    )
    .map_err(Error::arrow(path))?;
    Ok((IdMap::from_ids(ids), table))
}

impl Scores {
    /// On all threads; `None` where anything needs a closer look.
    fn read_plain(path: &Path, tags: &IdMap) -> Option<Self> {
        let blocks = Blocks::open(path, &Dialect::Csv, &Columns::all(&SCORE_COLUMNS))?;
        let separator = blocks.separator();
        let mut all = Self {
            movies: blocks.column(),
            tags: blocks.column(),
            relevance: blocks.column(),
        };
        let ids = blocks.cut(&mut all.movies).into_par_iter();
        ids.zip(blocks.cut(&mut all.tags))
            .zip(blocks.cut(&mut all.relevance))
            .enumerate()
            .map_init(
                Vec::new,
                |buffer, (block, ((movies, of_tags), relevance))| {
                    blocks.read(block, buffer, |mut text| {
                        let rows = movies.iter_mut().zip(of_tags).zip(relevance);
                        for ((movie, tag), relevance) in rows {
                            *movie = digits(&mut text)?;
                            text = text.strip_prefix(separator)?;
                            *tag = tags.row(digits(&mut text)?)?;
                            text = text.strip_prefix(separator)?;
                            *relevance =
                                decimal(&mut text).filter(|it| (0.0..=1.0).contains(it))?;
                            line_end(&mut text)?;
                        }
                        text.is_empty().then_some(())
                    })
                },
            )
            .collect::<Option<()>>()?;
        (!all.movies.is_empty()).then_some(all)
    }

    fn read_rows(path: &Path, tags: &IdMap) -> Result<Self> {
        let mut scores = Self::default();
        TableFile::open(path, &Dialect::Csv, &SCORE_COLUMNS)?.for_each(|row| {
            scores.movies.push(row.id(0)?);
            let tag = tags.row(row.id(1)?);
            scores
                .tags
                .push(tag.ok_or_else(|| row.bad(1, "is not a tag of the genome's table of tags"))?);
            let relevance = row.number(2)?;
            if !(0.0..=1.0).contains(&relevance) {
                return Err(row.bad(2, "is not a relevance from 0 to 1"));
            }
            scores.relevance.push(relevance);
            Ok(())
        })?;
        Ok(scores)
    }

    /// A row a movie.
    fn table(self, tags: &IdMap, path: &Path) -> Result<RecordBatch> {
        let movies = IdMap::from_ids(self.movies.iter().copied());
        let width = self.width(&movies, tags, path)?;
        // No relevance is NaN, so that it tells what has not been given.
        let mut relevance = vec![f32::NAN; movies.len() * tags.len()];
        let scores = self.movies.iter().zip(self.tags).zip(self.relevance);
        for (number, ((&movie, tag), value)) in scores.enumerate() {
            // All are there: it is made of them.
            let row = movies.row(movie).unwrap_or_default();
            let cell = &mut relevance[row as usize * tags.len() + tag as usize];
            if !cell.is_nan() {
                return Err(twice(path, number));
            }
            *cell = value;
        }
        let absent = relevance.par_iter_mut().filter(|value| value.is_nan());
        absent.for_each(|value| *value = 0.0);
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let values = Arc::new(Float32Array::from(relevance));
        let vectors = FixedSizeListArray::try_new(Arc::clone(&item), width, values, None)
            .map_err(Error::arrow(path))?;
        let schema = Schema::new(vec![
            Field::new("movieId", DataType::UInt32, false),
            Field::new("relevance", DataType::FixedSizeList(item, width), false),
        ]);
        let ids = UInt32Array::from(movies.ids().to_vec());
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(ids), Arc::new(vectors)])
            .map_err(Error::arrow(path))
    }

    /// Length of a movie's vector, where the file has enough scores for as many numbers
    /// as there are movies and tags.
    fn width(&self, movies: &IdMap, tags: &IdMap, path: &Path) -> Result<i32> {
        let scores = self.movies.len();
        let most = FREE_NUMBERS.max(scores.saturating_mul(NUMBERS_PER_SCORE));
        let fits = movies
            .len()
            .checked_mul(tags.len())
            .is_some_and(|it| it <= most);
        let width = i32::try_from(tags.len()).ok().filter(|_| fits);
        width.ok_or_else(|| Error::TooLarge {
            path: path.to_owned(),
            problem: format!(
                "{} movies × {} tags of genome-tags.csv are a table of which the {scores} scores here \
                 fill too little, where releases fill it; remove the tags that have no scores",
                movies.len(),
                tags.len()
            ),
        })
    }
}

/// The error at a score that an earlier line has given: reads the file again to find the
/// line.
fn twice(path: &Path, wanted: usize) -> Error {
    let (mut found, mut number) = (None, 0);
    let read = TableFile::open(path, &Dialect::Csv, &SCORE_COLUMNS).and_then(|file| {
        file.for_each(|row| {
            if number == wanted {
                found = Some(row.bad(
                    1,
                    "has a score of this movie on an earlier line too; keep one of them",
                ));
            }
            number += 1;
            Ok(())
        })
    });
    found.or(read.err()).unwrap_or_else(|| Error::Row {
        path: path.to_owned(),
        line: 0,
        column: String::new(),
        problem: "a score stands twice; the file has changed meanwhile".to_owned(),
    })
}
