//! Models of the Hugging Face hub, through its cache.
//!
//! `name` tells models from folders, `settings` reads the environment, `cache` knows where files
//! lie, `http` asks, and `download` brings a file from the one to the other.

mod address;
mod cache;
mod content;
mod download;
mod error;
mod failure;
mod headers;
mod http;
mod lock;
mod name;
mod progress;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub(crate) use name::{ModelName, folder, model};
pub(crate) use settings::Settings;

use crate::Error;
use cache::{ModelCache, is_commit, is_within};
use download::Download;
use error::HubError;
use http::Client;

/// The revision of a model that is named without one.
const MAIN: &str = "main";

/// What is wanted of the hub, and how the user put it.
pub(crate) struct Asked {
    /// What the user wrote.
    pub name: String,
    /// The folder that it is not the name of.
    pub folder: PathBuf,
    /// `owner/name`.
    pub id: String,
    /// A branch, a tag, or a commit.
    pub revision: String,
    /// Whether nobody named it.
    pub is_pinned: bool,
}

impl Asked {
    /// `pinned` names revisions of models that are named without one.
    pub fn new(name: &str, model: ModelName, pinned: &[(&str, &str)]) -> Self {
        let ModelName { id, revision } = model;
        let pinned = pinned.iter().find(|(model, _)| *model == id);
        let pinned = pinned.filter(|_| revision.is_none());
        let revision = revision.unwrap_or_else(|| pinned.map_or(MAIN, |it| it.1).to_owned());
        Self {
            name: name.to_owned(),
            folder: name::absolute(Path::new(name)),
            id,
            revision,
            is_pinned: pinned.is_some(),
        }
    }
}

/// A model of the hub.
pub(crate) struct HubModel {
    client: Client,
    cache: ModelCache,
    /// That of the first file: the others are of the same one.
    commit: OnceLock<String>,
}

impl HubModel {
    /// Where the cache has the main branch alone of a model that is pinned to another, that is
    /// taken: it is what the hub's own library downloads.
    pub fn new(mut asked: Asked, settings: Settings) -> Self {
        let cache = ModelCache::new(&settings.cache, &asked.id);
        let has = |revision: &str| cache.commit_of(revision).is_some();
        if asked.is_pinned && !has(&asked.revision) && has(MAIN) {
            asked.revision = MAIN.to_owned();
        }
        Self {
            cache,
            client: Client::new(settings, asked),
            commit: OnceLock::new(),
        }
    }

    /// `owner/name`.
    pub fn id(&self) -> &str {
        &self.client.asked.id
    }

    /// The commit that its files belong to, or what was asked for.
    pub fn revision(&self) -> String {
        let commit = self.commit().map(str::to_owned);
        commit.unwrap_or_else(|| self.client.asked.revision.clone())
    }

    fn commit(&self) -> Option<&str> {
        if self.commit.get().is_none()
            && let Some(commit) = self.cache.commit_of(&self.client.asked.revision)
        {
            return Some(self.commit.get_or_init(|| commit));
        }
        self.commit.get().map(String::as_str)
    }

    /// The file on this machine, downloaded where it has to be.
    pub fn file(&self, file: &str) -> crate::Result<PathBuf> {
        let absent = || HubError::NoFile {
            file: file.to_owned(),
            commit: self.revision(),
            movable: !is_commit(&self.client.asked.revision),
            cache: self.cache.folder.clone(),
        };
        let path = self.optional_file(file)?;
        path.ok_or_else(|| self.error(file, absent()))
    }

    /// As [`Self::file`], for one that a model may lack. That the hub has none is kept in its
    /// cache, as its own library keeps it; what nobody has asked for may be there.
    pub fn optional_file(&self, file: &str) -> crate::Result<Option<PathBuf>> {
        self.get(file).map_err(|problem| self.error(file, problem))
    }

    fn get(&self, file: &str) -> Result<Option<PathBuf>, HubError> {
        if !is_within(file) {
            let file = file.to_owned();
            return Err(HubError::Path { file });
        }
        let commit = self.commit();
        if let Some(commit) = commit {
            let place = self.cache.place(commit, file);
            if place.is_file() {
                return Ok(Some(place));
            }
            if self.cache.lacks(commit, file) {
                return Ok(None);
            }
        }
        if let Some(variable) = self.client.settings.offline {
            return Err(HubError::Offline { variable });
        }
        let download = Download {
            client: &self.client,
            cache: &self.cache,
            commit,
            file,
        };
        let fetched = download.run()?;
        Ok(fetched.map(|fetched| {
            self.commit.get_or_init(|| fetched.commit);
            fetched.path
        }))
    }

    fn error(&self, file: &str, problem: HubError) -> Error {
        let asked = &self.client.asked;
        // Of a name that is not known here yet, the user may have meant a folder.
        let is_new = self.commit().is_none() && !matches!(problem, HubError::NoModel { .. });
        Error::Hub {
            model: asked.id.clone(),
            file: file.to_owned(),
            folder: is_new.then(|| asked.folder.clone()),
            problem: problem.into(),
        }
    }
}
