//! A movie that nobody has rated, from a form.

use axum::extract::Multipart;
use axum::extract::multipart::Field;
use mmdlrm::Newcomer;

use crate::answers::checked;
use crate::error::ApiError;
use crate::limits::{LONGEST_PLOT, LONGEST_TEXT};

/// The movie, and how many fans are asked for.
pub async fn newcomer(mut form: Multipart) -> Result<(Newcomer, usize), ApiError> {
    let (mut movie, mut count) = (Newcomer::default(), 10);
    let number = |name: &str, text: &str| {
        let parsed = text.trim().parse::<i32>();
        parsed.map_err(|_| ApiError::bad(format!("{name} is '{text}', which is no number")))
    };
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "poster" => {
                let bytes = field.bytes().await?;
                movie.poster = (!bytes.is_empty()).then(|| bytes.to_vec());
            }
            "plot" => movie.plot = Some(text(&name, field, LONGEST_PLOT).await?),
            "genre" => movie.genres.push(text(&name, field, LONGEST_TEXT).await?),
            "year" => {
                let text = text(&name, field, LONGEST_TEXT).await?;
                if !text.trim().is_empty() {
                    movie.year = Some(number("year", &text)?);
                }
            }
            "count" => {
                let wanted = number("count", &text(&name, field, LONGEST_TEXT).await?)?;
                count = checked(usize::try_from(wanted).unwrap_or(0))?;
            }
            other => return Err(ApiError::bad(format!("there is no field '{other}'"))),
        }
    }
    Ok((movie, count))
}

/// A field of `most` characters at most; what is longer is not taken in.
async fn text(name: &str, mut field: Field<'_>, most: usize) -> Result<String, ApiError> {
    let too_long = || ApiError::bad(format!("{name} has {most} characters at most"));
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await? {
        bytes.extend_from_slice(&chunk);
        // No character takes more than four bytes.
        if bytes.len() > 4 * most {
            return Err(too_long());
        }
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| ApiError::bad(format!("{name} is not written in UTF-8")))?;
    match text.chars().count() <= most {
        true => Ok(text),
        false => Err(too_long()),
    }
}
