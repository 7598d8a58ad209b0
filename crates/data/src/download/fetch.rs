//! Bytes over HTTP, gone on with where they broke off.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use md5::{Digest, Md5};
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};

use super::{DownloadEvent, Downloader};
use crate::{Error, Result};

/// A checksum file is a line; more than this is something else.
const LONGEST_CHECKSUM_FILE: u64 = 4096;
/// The longest archive that is fetched: the largest release has a third of a gigabyte.
const LONGEST_ARCHIVE: u64 = 4 << 30;
/// Bytes that are read at a time.
const BUFFER: usize = 256 << 10;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What came of one attempt.
enum Attempt {
    Done,
    /// Worth another try.
    Broken(Cause),
}

/// Opens the file of an unfinished download, or makes it; no other process may
/// have it.
pub(super) fn open_alone(path: &Path) -> Result<File> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::write(path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let busy = std::io::Error::other("another process is downloading into it");
            Err(Error::write(path)(busy))
        }
        Err(TryLockError::Error(error)) => Err(Error::write(path)(error)),
    }
}

/// Fetches `url` into `file`, until its MD5 is the one published beside it.
pub(super) fn fetch(
    settings: &Downloader,
    url: &str,
    file: &mut File,
    path: &Path,
    on_event: &mut dyn FnMut(DownloadEvent),
) -> Result<()> {
    let agent = agent(settings);
    let expected = published_md5(settings, &agent, &format!("{url}.md5"), on_event)?;
    // What an earlier process left may be of another version: then once more
    // from the start.
    for from_start in [false, true] {
        if from_start {
            file.set_len(0).map_err(Error::write(path))?;
        }
        let resumed = length(file, path)? > 0;
        fetch_all(settings, &agent, url, file, path, on_event)?;
        let found = md5_of(file, path)?;
        if found == expected {
            return Ok(());
        }
        file.set_len(0).map_err(Error::write(path))?;
        if !resumed {
            return Err(not_there(
                url,
                format!(
                    "the MD5 of what came is {found}, the published one is {expected}; try again later"
                ),
            ));
        }
    }
    Ok(())
}

fn agent(settings: &Downloader) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(settings.patience))
        .timeout_connect(Some(settings.patience))
        .timeout_recv_response(Some(settings.patience))
        .timeout_per_read(Some(settings.patience))
        // As it is: what is compressed on the way cannot be gone on with.
        .accept_encoding("identity")
        .build()
        .into()
}

fn published_md5(
    settings: &Downloader,
    agent: &Agent,
    url: &str,
    on_event: &mut dyn FnMut(DownloadEvent),
) -> Result<String> {
    let mut text = String::new();
    persist(settings, url, on_event, |_| {
        text.clear();
        let mut response = match agent.get(url).call() {
            Ok(response) => response,
            Err(error) => return Ok((Attempt::Broken(error.into()), false)),
        };
        if let Some(problem) = refusal(&response, url)? {
            return Ok((Attempt::Broken(problem.into()), false));
        }
        let mut body = response.body_mut().as_reader().take(LONGEST_CHECKSUM_FILE);
        match body.read_to_string(&mut text) {
            Ok(_) => Ok((Attempt::Done, true)),
            Err(error) => Ok((Attempt::Broken(error.into()), false)),
        }
    })?;
    // `6b51…  ml-25m.zip` or `MD5 (ml-1m.zip) = c4d9…`.
    let mut words = text.split_whitespace();
    words
        .find(|word| word.len() == 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_ascii_lowercase)
        .ok_or_else(|| not_there(url, "there is no MD5 in it; is the address right?"))
}

/// Fetches what `file` lacks.
fn fetch_all(
    settings: &Downloader,
    agent: &Agent,
    url: &str,
    file: &mut File,
    path: &Path,
    on_event: &mut dyn FnMut(DownloadEvent),
) -> Result<()> {
    let mut furthest = length(file, path)?;
    persist(settings, url, on_event, |on_event| {
        let attempt = fetch_once(agent, url, file, path, on_event)?;
        let reached = length(file, path)?;
        let progress = reached > furthest;
        furthest = furthest.max(reached);
        Ok((attempt, progress))
    })
}

/// Tries until it is done, or several attempts in a row brought nothing new.
fn persist(
    settings: &Downloader,
    url: &str,
    on_event: &mut dyn FnMut(DownloadEvent),
    mut attempt: impl FnMut(&mut dyn FnMut(DownloadEvent)) -> Result<(Attempt, bool)>,
) -> Result<()> {
    let mut fruitless = 0;
    loop {
        let problem = match attempt(on_event)? {
            (Attempt::Done, _) => return Ok(()),
            (Attempt::Broken(problem), progress) => {
                fruitless = if progress { 0 } else { fruitless + 1 };
                problem
            }
        };
        if fruitless >= settings.attempts {
            return Err(Error::Download {
                url: url.to_owned(),
                attempts: fruitless,
                problem,
            });
        }
        let problem = problem.to_string();
        on_event(DownloadEvent::Retry { problem });
        // At most a minute, with the default pause.
        std::thread::sleep(settings.pause.saturating_mul(2u32.pow(fruitless.min(6))));
    }
}

/// One request for the rest of the file.
fn fetch_once(
    agent: &Agent,
    url: &str,
    file: &mut File,
    path: &Path,
    on_event: &mut dyn FnMut(DownloadEvent),
) -> Result<Attempt> {
    let mut start = length(file, path)?;
    let mut request = agent.get(url);
    if start > 0 {
        request = request.header(header::RANGE, format!("bytes={start}-"));
    }
    let mut response = match request.call() {
        Ok(response) => response,
        Err(error) => return Ok(Attempt::Broken(error.into())),
    };
    let (first, total) = content_range(&response);
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && start > 0 {
        if total == Some(start) {
            return Ok(Attempt::Done);
        }
        file.set_len(0).map_err(Error::write(path))?;
        return Ok(Attempt::Broken("the server has a shorter file".into()));
    }
    if let Some(problem) = refusal(&response, url)? {
        return Ok(Attempt::Broken(problem.into()));
    }
    let is_rest = response.status() == StatusCode::PARTIAL_CONTENT;
    if is_rest && first != Some(start) {
        let problem = "the server sent another part than was asked for";
        return Ok(Attempt::Broken(problem.into()));
    }
    if !is_rest && start > 0 {
        // It sends everything again.
        file.set_len(0).map_err(Error::write(path))?;
        start = 0;
    }
    let length = response.body().content_length();
    let total = total.or(length.map(|length| start.saturating_add(length)));
    if total.is_some_and(|total| total > LONGEST_ARCHIVE) {
        return Err(too_long(url));
    }
    on_event(DownloadEvent::Begin { done: start, total });
    file.seek(SeekFrom::Start(start))
        .map_err(Error::write(path))?;
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; BUFFER];
    let mut reached = start;
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Ok(Attempt::Broken(error.into())),
        };
        file.write_all(&buffer[..read])
            .map_err(Error::write(path))?;
        reached += read as u64;
        if reached > LONGEST_ARCHIVE {
            return Err(too_long(url));
        }
        on_event(DownloadEvent::Advance(read as u64));
    }
    Ok(match total {
        Some(total) if reached != total => {
            Attempt::Broken(format!("it ended after {reached} of {total} bytes").into())
        }
        _ => Attempt::Done,
    })
}

fn too_long(url: &str) -> Error {
    not_there(
        url,
        "the file is longer than 4 GiB, as no release is; is the address right?",
    )
}

/// What another attempt would not get either.
fn not_there(url: &str, problem: impl Into<Cause>) -> Error {
    Error::Download {
        url: url.to_owned(),
        attempts: 0,
        problem: problem.into(),
    }
}

/// What a status that is no success says: an error where it will not get
/// better.
fn refusal<B>(response: &Response<B>, url: &str) -> Result<Option<String>> {
    let status = response.status();
    if status.is_success() {
        return Ok(None);
    }
    let problem = format!("the server answered {status}");
    let passes = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    if passes {
        return Ok(Some(problem));
    }
    Err(not_there(url, problem))
}

/// First byte and length of the whole in `Content-Range: bytes 5-9/10`.
fn content_range<B>(response: &Response<B>) -> (Option<u64>, Option<u64>) {
    let parse = || {
        let value = response.headers().get(header::CONTENT_RANGE)?;
        let range = value.to_str().ok()?.trim().strip_prefix("bytes ")?;
        let (part, total) = range.split_once('/')?;
        let first = part.split_once('-').and_then(|it| it.0.parse().ok());
        Some((first, total.parse().ok()))
    };
    parse().unwrap_or_default()
}

fn length(file: &File, path: &Path) -> Result<u64> {
    Ok(file.metadata().map_err(Error::read(path))?.len())
}

fn md5_of(file: &mut File, path: &Path) -> Result<String> {
    file.seek(SeekFrom::Start(0)).map_err(Error::read(path))?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer).map_err(Error::read(path))? {
            0 => break,
            read => md5.update(&buffer[..read]),
        }
    }
    let digest = md5.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
