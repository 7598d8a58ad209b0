//! How much memory learning takes, before it begins.

use mmdlrm_features::TrainingData;

/// Bytes of a number.
const F32: u64 = 4;

/// What memory grows with.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub users: u64,
    pub items: u64,
    /// Training ratings.
    pub ratings: u64,
    /// Numbers of an item's vectors, of all modalities.
    pub content: u64,
    /// How many modalities there are.
    pub modalities: u64,
}

impl Size {
    pub fn of(data: &dyn TrainingData) -> Self {
        let features = data.features();
        let widths = features.modalities().iter().map(|it| it.width() as u64);
        Self {
            users: features.users().len() as u64,
            items: features.movies().len() as u64,
            ratings: data.training_rows() as u64,
            content: widths.sum(),
            modalities: features.modalities().len() as u64,
        }
    }

    /// Users and items.
    pub fn nodes(self) -> u64 {
        self.users + self.items
    }

    /// Histories as [`training_histories`](TrainingData::training_histories) collects them, with
    /// the room that vectors grow by.
    pub fn histories(self) -> u64 {
        18 * self.ratings
    }

    /// Both users' and items' side, and the rows that they are made of.
    pub fn both_sides(self) -> u64 {
        50 * self.ratings
    }

    /// What [`Incidence`](crate::incidence::Incidence) of users and of items takes.
    pub fn incidences(self) -> u64 {
        8 * self.ratings
    }

    /// What [`Graph`](crate::graph::Graph) takes, and the edges that it is made of.
    pub fn graph(self) -> u64 {
        (16 + 8) * self.ratings
    }

    /// What a model that learns from pairs takes: histories, pairs and an epoch's order; its
    /// parameters, their gradients, two moments, the best so far; and `vectors` numbers to rank by.
    pub fn pairwise(self, parameters: u64, vectors: u64) -> u64 {
        self.histories() + 8 * self.ratings + numbers(5 * parameters + 2 * vectors)
    }
}

/// Of so many numbers.
pub fn numbers(count: u64) -> u64 {
    F32 * count
}
