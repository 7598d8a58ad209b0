//! For tests.

use mmdlrm_data::Rated;

pub(crate) fn rated(user: u32, movie: u32, stars: f32, timestamp: u32) -> Rated {
    Rated {
        user,
        movie,
        stars,
        timestamp,
    }
}
