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

/// In scratch files.
impl Rated {
    pub(crate) const BYTES: usize = 16;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [
            self.user.to_le_bytes(),
            self.movie.to_le_bytes(),
            self.stars.to_le_bytes(),
            self.timestamp.to_le_bytes(),
        ];
        bytes.as_chunks_mut().0.copy_from_slice(&fields);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut fields = [[0; 4]; 4];
        fields.copy_from_slice(bytes.as_chunks().0);
        Self {
            user: u32::from_le_bytes(fields[0]),
            movie: u32::from_le_bytes(fields[1]),
            stars: f32::from_le_bytes(fields[2]),
            timestamp: u32::from_le_bytes(fields[3]),
        }
    }
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
