//! What is in a folder.

use std::path::Path;

use crate::{Error, Result};

/// Files and folders that are looked at: a release has 20 files, with posters beside it 100,000.
const MOST_ENTRIES: usize = 1_000_000;

/// What systems leave in folders by themselves.
const CLUTTER: [&str; 4] = ["desktop.ini", "thumbs.db", "icon\r", "__macosx"];

/// Names of what is in a folder, hidden files and clutter not among them, in their order.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub files: Vec<String>,
    pub folders: Vec<String>,
}

impl Listing {
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut listing = Self::default();
        let entries = std::fs::read_dir(folder).map_err(Error::read(folder))?;
        for entry in entries.take(MOST_ENTRIES) {
            let entry = entry.map_err(Error::read(folder))?;
            // No table has a name that is not UTF-8.
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if is_clutter(&name) {
                continue;
            }
            let kind = entry.file_type().map_err(Error::read(folder))?;
            // A link is what it leads to.
            let is_folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
            match is_folder {
                true => listing.folders.push(name),
                false => listing.files.push(name),
            }
        }
        listing.files.sort_unstable();
        listing.folders.sort_unstable();
        Ok(listing)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.iter().any(|name| name == file)
    }
}

/// Whether nobody put it there to be read.
pub(super) fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || CLUTTER.contains(&name.to_lowercase().as_str())
}
