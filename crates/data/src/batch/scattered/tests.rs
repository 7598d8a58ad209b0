use super::*;
use crate::batch::rated;

#[test]
fn ratings_beyond_32_bits_come_back_from_the_scratch_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut scattered = Scattered::new(Shuffle::new(3, 1), folder.path()).unwrap();
    // As if so many had been written before; the file has a hole there.
    scattered.rows = u64::from(u32::MAX) + 7;
    let start = SeekFrom::Start(scattered.rows * Rated::BYTES as u64);
    scattered.file.seek(start).unwrap();
    let sent = [1, 2, 3].map(|user| rated(user, 7, 3.5, 9));
    scattered.send(&sent).unwrap();
    let mut found = Vec::new();
    let take = &mut |rows: Vec<Rated>| {
        found.extend(rows);
        true
    };
    scattered.hand_out(2, take).unwrap();
    found.sort_unstable_by_key(|rated| rated.user);
    assert_eq!(found, sent);
}

#[test]
fn ratings_survive_the_scratch_file() {
    let rated = Rated {
        user: u32::MAX,
        movie: 7,
        stars: 3.5,
        timestamp: 1 << 31,
    };
    assert_eq!(Rated::from_bytes(&rated.to_bytes()), rated);
}
