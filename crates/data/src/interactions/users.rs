use std::sync::Arc;

use super::{IdNames, Traits};
use crate::{DataPart, IdMap};

/// What is known of users beside their interactions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Users {
    names: Option<Arc<IdNames>>,
    /// Of each, by its number; empty where nothing is known.
    traits: Arc<Traits>,
}

impl Users {
    pub(super) fn new(names: Arc<IdNames>, traits: Traits) -> Self {
        Self {
            names: Some(names),
            traits: Arc::new(traits),
        }
    }

    /// What they are called, where they are not called by their numbers.
    pub fn names(&self) -> Option<&Arc<IdNames>> {
        self.names.as_ref()
    }

    /// What is known of those of `users`, by dense row.
    pub fn traits(&self, users: &IdMap) -> Traits {
        if self.traits.is_empty() {
            return Traits::default();
        }
        let places: Vec<Option<u32>> = users.ids().iter().map(|&id| Some(id)).collect();
        self.traits.of(&places)
    }

    /// As a part of a fingerprint, `None` where nothing is known.
    pub(crate) fn part(&self) -> Option<DataPart> {
        (!self.traits.is_empty()).then(|| self.traits.part("traits of users"))
    }
}
