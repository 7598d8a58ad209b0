use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Blocks, Columns, Dialect, TableFile, Texts, TimeColumn, digits, line_end};
use crate::{Error, Result};

const NAMES: [&str; 4] = ["userId", "movieId", "tag", "timestamp"];

/// Reads `tags.csv` or `tags.dat`: `userId` and `movieId` (`UInt32`), `tag`
/// (`Utf8`), `timestamp` (`UInt32`, seconds since 1970; 0 where the file has none).
pub(crate) fn read_tags(path: &Path, dialect: &Dialect) -> Result<RecordBatch> {
    let tags = match Tags::read_plain(path, dialect) {
        Some(tags) => tags,
        None => Tags::read_rows(path, dialect)?,
    };
    tags.table().map_err(Error::arrow(path))
}

/// Schema of the table.
pub(crate) fn tags_schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![
        Field::new("userId", DataType::UInt32, false),
        Field::new("movieId", DataType::UInt32, false),
        Field::new("tag", DataType::Utf8, false),
        Field::new("timestamp", DataType::UInt32, false),
    ]))
}

#[derive(Default)]
struct Tags {
    users: Vec<u32>,
    movies: Vec<u32>,
    timestamps: Vec<u32>,
    texts: Texts,
}

impl Tags {
    /// On all threads; `None` where anything needs a closer look, as a tag that
    /// spans lines does.
    fn read_plain(path: &Path, dialect: &Dialect) -> Option<Self> {
        if !matches!(dialect, Dialect::Csv) {
            return None;
        }
        let blocks = Blocks::open(path, dialect, &Columns::all(&NAMES))?;
        if blocks.separator() != b"," {
            return None;
        }
        let parts = blocks.parse(Self::parse)?;
        let mut all = Self::default();
        for part in parts {
            all.users.extend(part.users);
            all.movies.extend(part.movies);
            all.timestamps.extend(part.timestamps);
            all.texts.append(part.texts)?;
        }
        (!all.users.is_empty()).then_some(all)
    }

    fn parse(mut text: &[u8]) -> Option<Self> {
        let mut tags = Self::default();
        while !text.is_empty() {
            tags.users.push(digits(&mut text)?);
            text = text.strip_prefix(b",")?;
            tags.movies.push(digits(&mut text)?);
            text = text.strip_prefix(b",")?;
            parse_text(&mut text, &mut tags.texts)?;
            text = text.strip_prefix(b",")?;
            tags.timestamps.push(digits(&mut text)?);
            line_end(&mut text)?;
        }
        let bytes = tags.texts.bytes();
        let plain = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
        plain.then_some(tags)
    }

    fn read_rows(path: &Path, dialect: &Dialect) -> Result<Self> {
        let mut tags = Self::default();
        let file = TableFile::open_columns(path, dialect, &Columns::but_the_last(&NAMES))?;
        let mut times = file.has(3).then(TimeColumn::default);
        file.for_each(|row| {
            tags.users.push(row.id(0)?);
            tags.movies.push(row.id(1)?);
            row.push_text(2, &mut tags.texts)?;
            tags.timestamps.push(match &mut times {
                Some(times) => times.read(row, 3)?,
                None => 0,
            });
            Ok(())
        })?;
        Ok(tags)
    }

    fn table(self) -> Result<RecordBatch, arrow_schema::ArrowError> {
        RecordBatch::try_new(
            tags_schema(),
            vec![
                Arc::new(UInt32Array::from(self.users)),
                Arc::new(UInt32Array::from(self.movies)),
                Arc::new(self.texts.array()?),
                Arc::new(UInt32Array::from(self.timestamps)),
            ],
        )
    }
}

/// Takes a field off the front of `text`, quoted or not.
fn parse_text(text: &mut &[u8], texts: &mut Texts) -> Option<()> {
    let Some(mut quoted) = text.strip_prefix(b"\"") else {
        let end = memchr::memchr3(b',', b'\n', b'"', text)?;
        let (field, rest) = text.split_at(end);
        texts.write(field)?;
        texts.finish();
        *text = rest;
        // A quote in the middle, or no further field, is for others.
        return rest.starts_with(b",").then_some(());
    };
    loop {
        let end = memchr::memchr2(b'"', b'\n', quoted)?;
        texts.write(&quoted[..end])?;
        quoted = quoted[end..].strip_prefix(b"\"")?;
        // Two quotes stand for one.
        match quoted.strip_prefix(b"\"") {
            Some(rest) => {
                texts.write(b"\"")?;
                quoted = rest;
            }
            None => break,
        }
    }
    texts.finish();
    *text = quoted;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::cast::AsArray;

    #[test]
    fn quoted_tags_are_read_alike_on_all_threads_and_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags.csv");
        let header = "userId,movieId,tag,timestamp\n";
        for (rows, is_plain) in [
            ("1,2,fun,3\n4,5,\"a, \"\"b\"\"\",6\r\n7,8,,9", true),
            ("1,2,\"\",3\n", true),
            ("1,2,\"two\nlines\",3\n", false),
            ("1,2,5\" disk,3\n", false),
            ("1,2,\"a\"b,3\n", false),
            ("1,2,\u{e9},3\n\n", false),
        ] {
            std::fs::write(&path, format!("{header}{rows}")).unwrap();
            let careful = Tags::read_rows(&path, &Dialect::Csv)
                .unwrap()
                .table()
                .unwrap();
            let plain = Tags::read_plain(&path, &Dialect::Csv).map(|it| it.table().unwrap());
            assert_eq!(plain.is_some(), is_plain, "{rows:?}");
            assert!(plain.is_none_or(|it| it == careful), "{rows:?}");
            assert_eq!(read_tags(&path, &Dialect::Csv).unwrap(), careful);
        }
        std::fs::write(&path, format!("{header}4,5,\"a, \"\"b\"\"\",6\n")).unwrap();
        let table = read_tags(&path, &Dialect::Csv).unwrap();
        assert_eq!(table.column(2).as_string::<i32>().value(0), "a, \"b\"");
    }
}
