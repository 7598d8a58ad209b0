//! A file from the hub into its cache.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Body;
use ureq::http::{Response, StatusCode, Uri, header};

use super::address::shown;
use super::cache::{ModelCache, is_commit};
use super::content::{BUFFER, Hash, decoded};
use super::error::HubError;
use super::failure::{Failure, Passing};
use super::headers::{content_range, encoding, etag};
use super::http::{Client, Found};
use super::lock::Lock;
use super::progress::Progress;
use crate::models::source::CONFIG;

/// The longest wait that a server's wish is followed for: the hub counts requests in five minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Doublings of the pause between tries.
const MOST_DOUBLINGS: u32 = 4;
/// The largest file of text, a tokenizer; that of XLM-R has 17 MB.
const LONGEST_TEXT: u64 = 64 << 20;
/// The largest file that the hub has.
const LONGEST_FILE: u64 = 50_000_000_000;

/// A file that has come, with its commit.
pub(super) struct Fetched {
    pub path: PathBuf,
    pub commit: String,
}

/// A file on its way.
pub(super) struct Download<'a> {
    pub client: &'a Client,
    pub cache: &'a ModelCache,
    /// That of the files which are here already: a model's files are of one commit.
    pub commit: Option<&'a str>,
    pub file: &'a str,
}

/// What goes on from one try to the next.
#[derive(Default)]
struct Tries {
    fruitless: u32,
    /// Bytes that were there at most.
    furthest: u64,
    /// Bytes that are there after the last try.
    reached: u64,
}

impl Download<'_> {
    /// The file, tried for until it is there, or several tries brought nothing new; `None` where
    /// the revision has none.
    pub fn run(&self) -> Result<Option<Fetched>, HubError> {
        let mut tries = Tries::default();
        loop {
            match self.once(&mut tries.reached) {
                Ok(Some(fetched)) => return Ok(Some(fetched)),
                // Another process had it in hand.
                Ok(None) => {}
                Err(Failure::Passing(passing)) => self.pause(&mut tries, passing)?,
                Err(Failure::Absent { commit }) => return self.absent(commit),
                Err(Failure::Unclear(problem)) => {
                    return match self.commit_there()? {
                        Some(commit) => self.absent(Some(commit)),
                        None => Err(problem),
                    };
                }
                Err(Failure::Final(error)) => return Err(error),
            }
        }
    }

    /// Waits before the next try, or says that there is none.
    fn pause(&self, tries: &mut Tries, passing: Passing) -> Result<(), HubError> {
        let has_moved = tries.reached > tries.furthest;
        tries.furthest = tries.furthest.max(tries.reached);
        tries.fruitless = if has_moved { 0 } else { tries.fruitless + 1 };
        let Passing {
            problem,
            wait,
            tries: most,
        } = passing;
        if tries.fruitless >= most {
            return Err(HubError::GaveUp {
                attempts: tries.fruitless,
                problem,
            });
        }
        if let Some(wait) = wait.filter(|wait| *wait > LONGEST_WAIT) {
            let url = self.client.settings.endpoint.clone();
            return Err(HubError::Busy {
                url,
                wait,
                most: LONGEST_WAIT,
                known: self.client.authorization.is_some(),
            });
        }
        let doublings = tries.fruitless.saturating_sub(1).min(MOST_DOUBLINGS);
        let own = self.client.settings.pause * 2u32.pow(doublings);
        let pause = wait.map_or(own, |wait| wait.max(own));
        tracing::warn!("{problem}; trying again in {:.1} s", pause.as_secs_f64());
        std::thread::sleep(pause);
        Ok(())
    }

    /// What it means that a commit has no such file.
    fn absent(&self, commit: Option<String>) -> Result<Option<Fetched>, HubError> {
        let commit = self.commit.map(str::to_owned).or(commit);
        if let Some(commit) = commit {
            let revision = &self.client.asked.revision;
            self.cache.keep_absence(revision, &commit, self.file);
        }
        Ok(None)
    }

    /// The commit that the server has of the model, where it does not say what it has not found.
    fn commit_there(&self) -> Result<Option<String>, HubError> {
        let url = self.client.url(&self.client.asked.revision, CONFIG)?;
        let found = self.client.find(&url).ok();
        Ok(found.and_then(|found| found.described.commit))
    }

    /// One try; `None` asks for another.
    fn once(&self, reached: &mut u64) -> Result<Option<Fetched>, Failure> {
        let mut found = self.find()?;
        let url = shown(&found.url);
        let missing = |what| HubError::NoHub {
            url: url.clone(),
            what,
        };
        let described = &found.described;
        let commit = described.commit.clone();
        let commit = commit.ok_or_else(|| missing("a commit (X-Repo-Commit)"))?;
        let etag = described.etag.clone();
        let etag = etag.ok_or_else(|| missing("a usable ETag"))?;
        let size = described.size;
        let revision = &self.client.asked.revision;
        if is_commit(revision) && *revision != commit {
            tracing::warn!("{url} was asked for commit {revision}, and answered with {commit}");
        }
        let is_whole = |blob: &Path| {
            let length = blob
                .metadata()
                .ok()
                .filter(|it| it.is_file())
                .map(|it| it.len());
            length.is_some_and(|length| size.is_none_or(|size| size == length))
        };
        let blob = self.cache.blob(&etag);
        if !is_whole(&blob) {
            let path = self.cache.lock(&etag);
            // No server is kept waiting.
            let lock = Lock::take(&path, || found.response = None);
            let lock = lock.map_err(HubError::write(&path))?;
            if lock.waited {
                return Ok(None);
            }
            if !is_whole(&blob) {
                self.fetch(found, &etag, lock.alone, reached)?;
            }
        }
        let links = self.client.settings.links;
        let path = self.cache.link(&etag, &commit, self.file, links)?;
        self.cache.keep_revision(revision, &commit)?;
        Ok(Some(Fetched { path, commit }))
    }

    /// The file of the commit at hand, even where the branch has moved on since.
    fn find(&self) -> Result<Found, Failure> {
        let revision = &self.client.asked.revision;
        let first = self.client.find(&self.client.url(revision, self.file)?);
        let Some(own) = self.commit else {
            return first;
        };
        let found = match &first {
            Ok(found) => found.described.commit.as_deref(),
            Err(Failure::Absent { commit }) => commit.as_deref(),
            Err(_) => return first,
        };
        if found.is_none_or(|found| found == own) {
            return first;
        }
        let moved = || HubError::Moved {
            revision: revision.clone(),
            commit: own.to_owned(),
            cache: self.cache.folder.clone(),
        };
        match self.client.find(&self.client.url(own, self.file)?) {
            Ok(found) if found.described.commit.as_deref() != Some(own) => Err(moved().into()),
            Err(Failure::Final(HubError::NoRevision { .. })) => Err(moved().into()),
            other => other,
        }
    }

    /// The bytes into the blob.
    fn fetch(
        &self,
        found: Found,
        etag: &str,
        alone: bool,
        reached: &mut u64,
    ) -> Result<(), Failure> {
        let path = self.cache.incomplete(etag, alone);
        let folder = path.parent().unwrap_or(&self.cache.folder);
        std::fs::create_dir_all(folder).map_err(HubError::write(folder))?;
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(HubError::write(&path))?;
        let mut transfer = Transfer {
            client: self.client,
            etag,
            size: found.described.size,
            most: longest(self.file),
            path: &path,
            file,
        };
        let before = transfer.length()?;
        let what = format!("{} of {}", self.file, self.client.asked.id);
        let result = transfer.run(found, what);
        *reached = transfer.length()?;
        if let Err(failure) = result {
            if *reached == 0 {
                let _ = std::fs::remove_file(&path);
            }
            return Err(failure);
        }
        if let Err(problem) = transfer.check()? {
            transfer.empty()?;
            let url = shown(&self.client.url(&self.client.asked.revision, self.file)?);
            let problem = HubError::Damaged { url, problem };
            if before > 0 {
                // What an earlier process has left was damaged: once more from the start.
                *reached = 0;
                return Err(Failure::Passing(Passing {
                    problem: Box::new(problem),
                    wait: None,
                    tries: Passing::FEW_TRIES,
                }));
            }
            drop(transfer);
            let _ = std::fs::remove_file(&path);
            return Err(problem.into());
        }
        drop(transfer);
        let blob = self.cache.blob(etag);
        std::fs::rename(&path, &blob).map_err(HubError::write(&blob))?;
        Ok(())
    }
}

fn longest(file: &str) -> u64 {
    match file.ends_with(".json") || file.ends_with(".txt") {
        true => LONGEST_TEXT,
        false => LONGEST_FILE,
    }
}

/// The bytes of a file on their way into another.
struct Transfer<'a> {
    client: &'a Client,
    etag: &'a str,
    size: Option<u64>,
    /// Bytes that are too many.
    most: u64,
    path: &'a Path,
    file: File,
}

impl Transfer<'_> {
    fn length(&self) -> Result<u64, HubError> {
        let metadata = self.file.metadata().map_err(HubError::write(self.path))?;
        Ok(metadata.len())
    }

    fn empty(&self) -> Result<(), HubError> {
        self.file.set_len(0).map_err(HubError::write(self.path))
    }

    /// Goes on where the file ends.
    fn run(&mut self, found: Found, what: String) -> Result<(), Failure> {
        let mut start = self.length()?;
        if self.size.is_some_and(|size| start > size) {
            self.empty()?;
            start = 0;
        }
        if start > 0 && self.size == Some(start) {
            return Ok(());
        }
        if self.size.is_some_and(|size| size > self.most) {
            return Err(self.too_long(&found.url).into());
        }
        let (mut response, url) = match found.response {
            Some(response) if start == 0 => (response, found.url),
            _ => self.client.open(&found.url, found.is_own, start)?,
        };
        start = self.start(&response, &url, found.is_own, start)?;
        let progress = Progress::new(what, self.size, self.client.settings.bars);
        self.copy(&mut response, &url, start, &progress)?;
        let length = self.length()?;
        if let Some(size) = self.size.filter(|size| length < *size) {
            let problem = format!("it ended after {length} of {size} bytes");
            return Err(Passing::broken(&url, problem).into());
        }
        self.file.sync_all().map_err(HubError::write(self.path))?;
        progress.finish(length);
        Ok(())
    }

    /// Where the bytes of an answer belong.
    fn start(
        &self,
        response: &Response<Body>,
        url: &Uri,
        is_own: bool,
        start: u64,
    ) -> Result<u64, Failure> {
        let anew = |problem: &str| {
            self.empty()?;
            Err(Passing::broken(url, problem).into())
        };
        let headers = response.headers();
        match response.status() {
            StatusCode::PARTIAL_CONTENT if start > 0 => {
                let range = content_range(headers);
                let fits = |total: Option<u64>| {
                    total.is_none_or(|it| self.size.is_none_or(|size| size == it))
                };
                let named = etag(headers, &header::ETAG, false).filter(|_| is_own);
                let is_same = match named {
                    Some(named) => named == self.etag,
                    // What else lies there is found out by its hash.
                    None => Hash::of(self.etag).is_some(),
                };
                match range {
                    Some((first, total)) if first == start && fits(total) => {}
                    _ => return anew("it sent another part than was asked for"),
                }
                if !is_same || encoding(headers).is_some() {
                    return anew("the part that it sent may be another file's");
                }
                Ok(start)
            }
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => anew("it has a shorter file"),
            // It sends everything again.
            StatusCode::OK => {
                self.empty()?;
                Ok(0)
            }
            status if status.is_success() => anew(&format!("it answered {status}")),
            _ => Err(match self.client.refusal(response, url, is_own) {
                Failure::Unclear(problem) => problem.into(),
                other => other,
            }),
        }
    }

    fn copy(
        &mut self,
        response: &mut Response<Body>,
        url: &Uri,
        start: u64,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let encoding = encoding(response.headers()).map(str::to_owned);
        let body = decoded(encoding.as_deref(), response.body_mut().as_reader());
        let body = body.map_err(|error| Passing::broken(url, error))?;
        let Some(mut body) = body else {
            let encoding = encoding.unwrap_or_default();
            let problem = format!("it is compressed by '{encoding}', which was not asked for");
            return Err(HubError::Broken {
                url: shown(url),
                problem,
            }
            .into());
        };
        let seek = self.file.seek(SeekFrom::Start(start));
        seek.map_err(HubError::write(self.path))?;
        let mut buffer = vec![0; BUFFER];
        let mut reached = start;
        loop {
            progress.at(reached);
            let read = match body.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) => return Err(Passing::broken(url, error).into()),
            };
            reached += read as u64;
            if reached > self.size.unwrap_or(self.most) {
                self.empty()?;
                return Err(self.too_long(url).into());
            }
            let write = self.file.write_all(&buffer[..read]);
            write.map_err(HubError::write(self.path))?;
        }
    }

    fn too_long(&self, url: &Uri) -> HubError {
        HubError::TooLong {
            url: shown(url),
            most: self.size.map_or(self.most, |size| size.min(self.most)),
        }
    }

    /// What is wrong with the bytes.
    fn check(&mut self) -> Result<Result<(), String>, HubError> {
        let length = self.length()?;
        if let Some(size) = self.size.filter(|size| *size != length) {
            return Ok(Err(format!("it has {length} bytes, not {size}")));
        }
        let Some(hash) = Hash::of(self.etag) else {
            return Ok(Ok(()));
        };
        let found = hash
            .digest(&mut self.file)
            .map_err(HubError::write(self.path))?;
        Ok(match found.eq_ignore_ascii_case(self.etag) {
            true => Ok(()),
            false => Err(format!("its hash is {found}, not {}", self.etag)),
        })
    }
}
