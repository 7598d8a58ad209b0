/// A rating in dense rows: 16 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rated {
    /// User by dense row.
    pub user: u32,
    /// Movie by dense row.
    pub movie: u32,
    /// Rating in stars; of other data, its target [as stars](crate::Target::to_stars).
    pub stars: f32,
    /// Seconds since 1970, UTC.
    pub timestamp: u32,
}

#[cfg(test)]
pub(crate) fn rated(user: u32, movie: u32, stars: f32, timestamp: u32) -> Rated {
    Rated {
        user,
        movie,
        stars,
        timestamp,
    }
}
