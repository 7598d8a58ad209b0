//! What the files of a release are called.

use crate::Format;
use crate::tables::did_you_mean;

/// A table of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::movielens) enum Table {
    Ratings,
    Movies,
    /// The names of ML-100K's genres.
    Genres,
    Users,
    Links,
    Tags,
    GenomeScores,
    GenomeTags,
}

impl Table {
    const ALL: [Self; 8] = [
        Self::Ratings,
        Self::Movies,
        Self::Genres,
        Self::Users,
        Self::Links,
        Self::Tags,
        Self::GenomeScores,
        Self::GenomeTags,
    ];
    /// Without these there is no release.
    const NEEDED: [Self; 2] = [Self::Ratings, Self::Movies];

    /// Names of its file: GroupLens's first, then those of Kaggle's copy.
    pub(in crate::movielens) fn names(self, format: Format) -> &'static [&'static str] {
        match (self, format) {
            (Self::Ratings, Format::Csv) => &["ratings.csv", "rating.csv"],
            (Self::Ratings, Format::Ml100k) => &["u.data"],
            (Self::Ratings, _) => &["ratings.dat"],
            (Self::Movies, Format::Csv) => &["movies.csv", "movie.csv"],
            (Self::Movies, Format::Ml100k) => &["u.item"],
            (Self::Movies, _) => &["movies.dat"],
            (Self::Genres, Format::Ml100k) => &["u.genre"],
            (Self::Genres, _) => &[],
            (Self::Users, Format::Csv) => &[],
            (Self::Users, Format::Ml100k) => &["u.user"],
            (Self::Users, _) => &["users.dat"],
            (Self::Tags, Format::Csv | Format::Ml100k) => &["tags.csv", "tag.csv"],
            (Self::Tags, _) => &["tags.dat", "tags.csv", "tag.csv"],
            (Self::Links, _) => &["links.csv", "link.csv"],
            (Self::GenomeScores, _) => &["genome-scores.csv", "genome_scores.csv"],
            (Self::GenomeTags, _) => &["genome-tags.csv", "genome_tags.csv"],
        }
    }
}

/// How releases are written, the first first where a folder has several; ML-10M is told from
/// ML-1M once it is chosen.
const FORMATS: [Format; 3] = [Format::Csv, Format::Ml100k, Format::Ml1m];

/// The tables among the files of one folder.
#[derive(Debug, Clone)]
pub(in crate::movielens) struct Tables {
    pub format: Format,
    /// Each table's file.
    found: Vec<(Table, String)>,
    /// Files that are read, and others that might have been in their place.
    pub passed_over: Vec<(String, String)>,
}

/// What the files of a folder come to.
#[derive(Debug)]
pub(super) enum Choice {
    Whole(Tables),
    /// Some of it: what there is, and what is missing.
    Part(Part),
    Nothing,
}

/// Ratings without movies, or the other way round.
#[derive(Debug)]
pub(super) struct Part {
    /// Whether it is the ratings that there are.
    pub has_ratings: bool,
    /// The file that there is.
    pub present: String,
    /// What the other is called.
    pub missing: &'static str,
}

impl Tables {
    /// # Errors
    /// Files of which none comes first, in words.
    pub(super) fn among(files: &[String]) -> Result<Choice, String> {
        let mut part = None;
        let mut whole: Option<Self> = None;
        for format in FORMATS {
            let tables = Self::of(format, files)?;
            match Table::NEEDED.map(|table| tables.name(table)) {
                [Some(ratings), Some(_)] => match &mut whole {
                    None => whole = Some(tables),
                    Some(whole) => {
                        let first = whole.name(Table::Ratings).unwrap_or_default().to_owned();
                        whole.passed_over.push((first, ratings.to_owned()));
                    }
                },
                [Some(present), None] | [None, Some(present)] if part.is_none() => {
                    let has_ratings = tables.name(Table::Ratings).is_some();
                    let missing = match has_ratings {
                        true => Table::Movies,
                        false => Table::Ratings,
                    };
                    part = Some(Part {
                        has_ratings,
                        present: present.to_owned(),
                        missing: missing.names(format)[0],
                    });
                }
                _ => {}
            }
        }
        Ok(match (whole, part) {
            (Some(whole), _) => Choice::Whole(whole),
            (None, Some(part)) => Choice::Part(part),
            (None, None) => Choice::Nothing,
        })
    }

    fn of(format: Format, files: &[String]) -> Result<Self, String> {
        let mut tables = Self {
            format,
            found: Vec::new(),
            passed_over: Vec::new(),
        };
        for table in Table::ALL {
            let Some((name, others)) = pick(table.names(format), files)? else {
                continue;
            };
            let others = others.into_iter().map(|other| (name.clone(), other));
            tables.passed_over.extend(others);
            tables.found.push((table, name));
        }
        if format == Format::Ml1m && tables.name(Table::Users).is_none() {
            tables.format = Format::Ml10m;
        }
        Ok(tables)
    }

    /// The file of a table, where there is one.
    pub(in crate::movielens) fn name(&self, table: Table) -> Option<&str> {
        let mut found = self.found.iter();
        let name = found.find(|(of, _)| *of == table);
        name.map(|(_, name)| name.as_str())
    }

    /// The tables and their files.
    #[cfg(feature = "archives")]
    pub(super) fn found(&self) -> &[(Table, String)] {
        &self.found
    }
}

/// Which of the names, compressed or not, a file has in whatever case: how far it is from the
/// best.
fn rank(names: &[&str], file: &str) -> Option<(usize, bool, bool)> {
    let (plain, is_compressed) = match file
        .len()
        .checked_sub(3)
        .and_then(|at| file.split_at_checked(at))
    {
        Some((plain, end)) if end.eq_ignore_ascii_case(".gz") => (plain, true),
        _ => (file, false),
    };
    let place = names
        .iter()
        .position(|name| plain.eq_ignore_ascii_case(name))?;
    let is_exact = plain == names[place] && (!is_compressed || file.ends_with(".gz"));
    Some((place, !is_exact, is_compressed))
}

/// The file that comes first, and others that might be meant: the usual name before Kaggle's, as
/// it is written before any other case, and plain before compressed, which is the same table.
fn pick(names: &[&str], files: &[String]) -> Result<Option<(String, Vec<String>)>, String> {
    let ranked = files
        .iter()
        .filter_map(|file| Some((rank(names, file)?, file)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort();
    let Some(&(best, first)) = ranked.first() else {
        return Ok(None);
    };
    if let Some((_, second)) = ranked.get(1).filter(|(rank, _)| *rank == best) {
        return Err(format!(
            "{first} and {second} may both be {}: leave one of them there",
            names[best.0]
        ));
    }
    let is_twin = |rank: (usize, bool, bool)| (rank.0, rank.1) == (best.0, best.1);
    let others = ranked[1..].iter().filter(|(rank, _)| !is_twin(*rank));
    let others = others.map(|(_, file)| (*file).clone()).collect();
    Ok(Some((first.clone(), others)))
}

/// Whether a file is a table of a release by its name.
pub(super) fn is_table(file: &str) -> bool {
    let names = FORMATS.into_iter().flat_map(|format| {
        let of_format = move |table: Table| table.names(format);
        Table::ALL.into_iter().flat_map(of_format)
    });
    names.into_iter().any(|name| rank(&[name], file).is_some())
}

/// Ends of names of files that are compressed or packed, and what unpacks them.
const PACKED: [(&str, &str); 13] = [
    (".tar.gz", "tar -xf"),
    (".tgz", "tar -xf"),
    (".tar.bz2", "tar -xf"),
    (".tar.xz", "tar -xf"),
    (".tar", "tar -xf"),
    (".zip", "unzip"),
    (".7z", "7z x"),
    (".rar", "unrar x"),
    (".bz2", "bunzip2"),
    (".xz", "unxz"),
    (".zst", "unzstd"),
    (".lz4", "unlz4"),
    (".gz", "gunzip"),
];

/// How a file is unpacked, by its name, and what it is called without the end that says so.
pub(super) fn unpacker(file: &str) -> Option<(&'static str, &str)> {
    let mut ends = PACKED.iter().filter_map(|(end, tool)| {
        let (name, found) = file.split_at_checked(file.len().checked_sub(end.len())?)?;
        (found.eq_ignore_ascii_case(end) && !name.is_empty()).then_some((*tool, name))
    });
    ends.next()
}

/// What stands in place of a file that is missing, in words that follow its name.
pub(super) fn in_place_of(name: &'static str, files: &[String]) -> String {
    let all = FORMATS.map(|format| Table::NEEDED.map(|table| table.names(format)));
    let mut all = all.iter().flatten();
    let names = all.find(|names| names.contains(&name)).copied();
    let packed = files.iter().find_map(|file| {
        let (tool, plain) = unpacker(file)?;
        rank(names.unwrap_or_default(), plain).map(|_| (file, tool))
    });
    if let Some((file, tool)) = packed {
        return format!(
            "; {file} is compressed in a way that is not read, unpack it: {tool} {file}"
        );
    }
    let others = files.iter().filter(|file| !is_table(file));
    did_you_mean(name, others.map(String::as_str))
}
