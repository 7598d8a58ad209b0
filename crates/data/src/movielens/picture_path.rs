//! Where a picture lies, as a table of any origin says it.

use std::path::{Path, PathBuf};

/// Letters and digits of the pictures of TMDb.
const TMDB_NAME: usize = 27;

/// The path that a table in `folder` means by `text`.
///
/// # Errors
/// What names no file of this system: what it is, and what to do.
pub(crate) fn picture_path(text: &str, folder: &Path) -> Result<PathBuf, String> {
    let text = text.trim();
    if let Some(url) = strip_scheme(text, "file:") {
        return of_file_url(url);
    }
    if let Some(scheme) = scheme_of(text) {
        return Err(format!(
            "is an address ({scheme}), and nothing is fetched; download the pictures and name \
             their files"
        ));
    }
    if strip_scheme(text, "data:").is_some() {
        return Err("is a picture written out; write it to a file, and name that".to_owned());
    }
    if is_of_windows(text) {
        return of_windows(text);
    }
    let path = folder.join(text);
    if cfg!(not(windows)) && text.contains('\\') && !path.exists() {
        return Ok(folder.join(text.replace('\\', "/")));
    }
    if is_of_tmdb(text) && !path.exists() {
        return Err(format!(
            "is the name of a picture at TMDb, and not a file; download it from \
             https://image.tmdb.org/t/p/w342{text}, and name the file"
        ));
    }
    Ok(path)
}

/// What follows `scheme`, in letters of any case.
fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The scheme of an address, as `https`; one without, `//image.tmdb.org/…`, is the web's.
fn scheme_of(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once("//")?;
    let host = rest.split('/').next().unwrap_or_default();
    match scheme.strip_suffix(':') {
        None => (scheme.is_empty() && host.contains('.')).then_some("https"),
        // A single letter is a drive.
        Some(name) => {
            let is_name = name
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it));
            (is_name && name.len() > 1).then_some(name)
        }
    }
}

/// The path of a `file:` address, of which `url` is what follows.
fn of_file_url(url: &str) -> Result<PathBuf, String> {
    let path = match url.strip_prefix("//") {
        None => url,
        Some(rest) => {
            let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
            if !(host.is_empty() || host.eq_ignore_ascii_case("localhost")) {
                return Err(format!(
                    "is a file of another machine, '{host}'; name the picture as it is called on \
                     this one"
                ));
            }
            &rest[host.len()..]
        }
    };
    let path = percent_decoded(path).ok_or("is not UTF-8 where it is percent-encoded")?;
    match path.strip_prefix('/') {
        Some(drive) if is_of_windows(drive) => of_windows(drive),
        _ if !path.starts_with('/') => {
            Err("is no absolute path; write it without 'file:', or as 'file:///…'".to_owned())
        }
        _ => Ok(PathBuf::from(path)),
    }
}

/// Text with `%20` and the like as what they stand for; `None` where that is not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if let (b'%', [high, low, after @ ..]) = (byte, behind)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            bytes.push((high << 4 | low) as u8);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Whether a path is absolute by a drive, as `C:\`, or a share, as `\\server\`.
fn is_of_windows(text: &str) -> bool {
    match text.as_bytes() {
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        other => other.starts_with(b"\\\\"),
    }
}

fn of_windows(path: &str) -> Result<PathBuf, String> {
    match cfg!(windows) {
        true => Ok(PathBuf::from(path)),
        false => Err(
            "is a path of Windows, which this system is not; name the pictures as they are called \
             here, best relative to the folder of the file"
                .to_owned(),
        ),
    }
}

/// Whether it is called as the pictures of TMDb are, `/kqjL17yufvn9OVLyXYpvtyrFfak.jpg`.
fn is_of_tmdb(text: &str) -> bool {
    let name = text.strip_prefix('/').and_then(|it| it.rsplit_once('.'));
    name.is_some_and(|(name, _)| {
        name.len() == TMDB_NAME && name.bytes().all(|it| it.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        picture_path(text, Path::new("/data")).unwrap_err()
    }

    #[cfg(not(windows))]
    #[test]
    fn paths_are_found_however_they_are_written() {
        for (text, path) in [
            ("posters/1.jpg", "/data/posters/1.jpg"),
            (" posters/1.jpg ", "/data/posters/1.jpg"),
            ("/elsewhere/1.jpg", "/elsewhere/1.jpg"),
            (r"posters\1.jpg", "/data/posters/1.jpg"),
            (r".\posters\1.jpg", "/data/./posters/1.jpg"),
            ("file:///a/1.jpg", "/a/1.jpg"),
            ("FILE://localhost/a/b%20c/%C3%A9.jpg", "/a/b c/\u{e9}.jpg"),
            ("file:/a/100%.jpg", "/a/100%.jpg"),
            ("posters//1.jpg", "/data/posters//1.jpg"),
            ("C:1.jpg", "/data/C:1.jpg"),
            ("/short.jpg", "/short.jpg"),
        ] {
            let found = picture_path(text, Path::new("/data")).unwrap();
            assert_eq!(found.to_str().unwrap(), path, "{text}");
        }
    }

    #[cfg(not(windows))]
    #[test]
    fn a_backslash_that_is_in_the_name_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(r"a\b.jpg");
        std::fs::write(&path, "").unwrap();
        assert_eq!(picture_path(r"a\b.jpg", folder.path()).unwrap(), path);
    }

    #[test]
    fn what_names_no_file_is_told_by_what_it_is() {
        for text in [
            "http://a/1.jpg",
            "HTTPS://a.org/1.jpg",
            "s3://b/1.jpg",
            "//image.org/1.jpg",
        ] {
            let said = said(text);
            assert!(
                said.contains("address") && said.contains("download"),
                "{said}"
            );
        }
        assert!(said("data:image/png;base64,iVBO").contains("written out"));
        assert!(said("file://nas/1.jpg").contains("another machine, 'nas'"));
        assert!(said("file:1.jpg").contains("no absolute path"));
        assert!(said("file:///%ff.jpg").contains("UTF-8"));
        let tmdb = said("/kqjL17yufvn9OVLyXYpvtyrFfak.jpg");
        assert!(tmdb.contains("https://image.tmdb.org/t/p/w342/kqjL17yufvn9OVLyXYpvtyrFfak.jpg"));
    }

    #[cfg(not(windows))]
    #[test]
    fn drives_and_shares_are_of_windows() {
        for text in [
            r"C:\posters\1.jpg",
            "c:/posters/1.jpg",
            r"\\nas\1.jpg",
            "file:///C:/1.jpg",
        ] {
            assert!(said(text).contains("Windows"), "{text}");
        }
    }
}
