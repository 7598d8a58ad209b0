use std::path::Path;
use std::sync::Arc;

use arrow_array::{RecordBatch, UInt8Array, UInt32Array};
use arrow_schema::{DataType, Field, Schema};

use crate::text::{Dialect, FULL, TableFile, Texts};
use crate::{Error, Result};

/// Occupations by their codes in ML-1M, as its README gives them.
const OCCUPATIONS: [&str; 21] = [
    "other",
    "academic/educator",
    "artist",
    "clerical/admin",
    "college/grad student",
    "customer service",
    "doctor/health care",
    "executive/managerial",
    "farmer",
    "homemaker",
    "K-12 student",
    "lawyer",
    "programmer",
    "retired",
    "sales/marketing",
    "scientist",
    "self-employed",
    "technician/engineer",
    "tradesman/craftsman",
    "unemployed",
    "writer",
];

/// Which release a table of users is of: they order the columns differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsersFormat {
    /// `u.user`: age before gender, occupations by name.
    Ml100k,
    /// `users.dat`: gender before age, occupations by code.
    Ml1m,
}

/// Reads `u.user` or `users.dat`: `userId` (`UInt32`), `gender` (`Utf8`, `F` or
/// `M`), `age` (`UInt8`, in ML-1M the least of its age group), `occupation` and
/// `zipCode` (`Utf8`).
pub(crate) fn read_users(path: &Path, format: UsersFormat) -> Result<RecordBatch> {
    let (separator, names): (_, &'static [&'static str]) = match format {
        UsersFormat::Ml100k => ("|", &["userId", "age", "gender", "occupation", "zipCode"]),
        UsersFormat::Ml1m => ("::", &["userId", "gender", "age", "occupation", "zipCode"]),
    };
    let (gender, age) = match format {
        UsersFormat::Ml100k => (2, 1),
        UsersFormat::Ml1m => (1, 2),
    };
    let dialect = Dialect::plain(separator, names.len());
    let (mut users, mut ages) = (Vec::new(), Vec::new());
    let (mut genders, mut occupations, mut zip_codes) =
        (Texts::default(), Texts::default(), Texts::default());
    TableFile::open(path, &dialect, names)?.for_each(|row| {
        users.push(row.id(0)?);
        row.push_text(gender, &mut genders)?;
        let years = u8::try_from(row.id(age)?);
        ages.push(years.map_err(|_| row.bad(age, "is not an age in years"))?);
        match format {
            UsersFormat::Ml100k => row.push_text(3, &mut occupations)?,
            UsersFormat::Ml1m => {
                let name = OCCUPATIONS.get(row.id(3)? as usize);
                let name =
                    name.ok_or_else(|| row.bad(3, "is not the code of an occupation (0 to 20)"))?;
                let written = occupations.push(name);
                written.ok_or_else(|| row.bad(3, FULL))?;
            }
        }
        row.push_text(4, &mut zip_codes)
    })?;
    let schema = Schema::new(vec![
        Field::new("userId", DataType::UInt32, false),
        Field::new("gender", DataType::Utf8, false),
        Field::new("age", DataType::UInt8, false),
        Field::new("occupation", DataType::Utf8, false),
        Field::new("zipCode", DataType::Utf8, false),
    ]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(UInt32Array::from(users)),
            Arc::new(genders.array().map_err(Error::arrow(path))?),
            Arc::new(UInt8Array::from(ages)),
            Arc::new(occupations.array().map_err(Error::arrow(path))?),
            Arc::new(zip_codes.array().map_err(Error::arrow(path))?),
        ],
    )
    .map_err(Error::arrow(path))
}
