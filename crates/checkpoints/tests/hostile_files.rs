//! Files that lie: an error of one line at once, never a panic, and no memory for what is
//! not there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mmdlrm_checkpoints::{Checkpoint, Problem};

/// For any one file.
const SOON: Duration = Duration::from_secs(10);
/// Bytes that may be asked for at once, beside twenty times the length of the file.
const LARGEST_REQUEST: usize = 1 << 20;
/// The same for files that are written to ask for as much as they can.
const LARGEST_OF_ALL: usize = 64 << 20;

/// Notes the largest request for memory of each thread.
struct Noting;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.with(|largest| largest.set(largest.get().max(layout.size())));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

fn golden(name: &str) -> Option<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/checkpoints");
    let bytes = std::fs::read(folder.join(name));
    if bytes.is_err() {
        eprintln!("skipped: there is no {}", folder.display());
    }
    bytes.ok()
}

struct Reader {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Reader {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pt");
        Self {
            _folder: folder,
            path,
        }
    }

    /// Opens a file of these bytes and reads all that can be read of it: how many tensors.
    fn read(&self, bytes: &[u8]) -> Result<usize, String> {
        // In its place: to make a file anew takes most of the time.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .unwrap();
        file.write_all(bytes).unwrap();
        if file.metadata().unwrap().len() != bytes.len() as u64 {
            file.set_len(bytes.len() as u64).unwrap();
        }
        self.read_file(bytes.len(), LARGEST_REQUEST + 20 * bytes.len())
    }

    fn read_file(&self, length: usize, most: usize) -> Result<usize, String> {
        let start = Instant::now();
        LARGEST.set(0);
        let read = || {
            let all = Checkpoint::open(&self.path)?;
            assert!(!all.describe().contains('\n'));
            for (name, info) in all.tensors() {
                let mut found = 0;
                match all.read_bytes(name, |part| found += part.len()) {
                    Ok(()) => {
                        let size = info.dtype().size() as u64;
                        assert_eq!(found as u64, info.count() * size, "{name}");
                        assert!(found <= length, "{name}");
                    }
                    Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
                }
            }
            let _ = all.check();
            Ok::<_, mmdlrm_checkpoints::Error>(all.into_model()?.names().len())
        };
        let found = read().map_err(|error| error.to_string());
        assert!(start.elapsed() < SOON);
        let largest = LARGEST.take();
        assert!(largest < most, "{largest}");
        if let Err(error) = &found {
            assert!(!error.contains('\n') && error.len() < 2000, "{error}");
        }
        found
    }
}

/// A linear congruential generator (Knuth's MMIX).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

const FILES: [&str; 6] = [
    "kinds.pt",
    "kinds-old.pt",
    "kinds-4.pt",
    "beside-old.pt",
    "trace.pt",
    "odd.pt",
];

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let reader = Reader::new();
    for file in ["kinds-old.pt", "one-tensor.pt", "compiled.pt"] {
        let Some(whole) = golden(file) else { return };
        for length in (0..whole.len()).rev() {
            let found = reader.read(&whole[..length]);
            assert!(found.is_err(), "{file} {length}");
        }
    }
}

#[test]
fn a_file_with_any_bytes_changed_is_read_or_refused() {
    let reader = Reader::new();
    let mut draws = Draws(1);
    let mut refused = 0;
    for file in FILES {
        let Some(whole) = golden(file) else { return };
        for round in 0..1000 {
            let mut bytes = whole.clone();
            for _ in 0..=round % 4 {
                let at = draws.below(bytes.len());
                bytes[at] = match draws.below(3) {
                    0 => bytes[at] ^ (1 << draws.below(8)),
                    1 => 0xff,
                    _ => draws.below(256) as u8,
                };
            }
            refused += usize::from(reader.read(&bytes).is_err());
        }
    }
    assert!(refused > 500, "{refused}");
}

/// Parts of a pickle in other places of it.
#[test]
fn a_pickle_that_is_mixed_up_is_read_or_refused() {
    let reader = Reader::new();
    let mut draws = Draws(2);
    for file in ["kinds-old.pt", "beside-old.pt", "kinds-old-5.pt"] {
        let Some(whole) = golden(file) else { return };
        for _ in 0..1000 {
            let mut bytes = whole.clone();
            let (from, to) = (draws.below(bytes.len()), draws.below(bytes.len()));
            let length = draws
                .below(40)
                .min(bytes.len() - from)
                .min(bytes.len() - to);
            bytes.copy_within(from..from + length, to);
            let _ = reader.read(&bytes);
        }
    }
}

/// The beginning of the older format.
const START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// A file of the older format of this object and these keys, with these storages behind.
fn old(object: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    [
        START,
        b"\x80\x02",
        object,
        b".\x80\x02",
        keys,
        b".",
        storages,
    ]
    .concat()
}

/// `{'a': tensor}` of a storage '0' of floats.
fn tensor(offset: &[u8], sizes: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02Ntq\x00Q";
    let parts: [&[u8]; 9] = [
        b"}U\x01actorch._utils\n_rebuild_tensor_v2\n(",
        storage,
        offset,
        sizes,
        strides,
        b"\x89N",
        b"tR",
        b"s",
        b"",
    ];
    parts.concat()
}

const KEYS: &[u8] = b"]U\x010a";
/// Two floats.
const TWO: &[u8] = b"\x02\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\x40";
/// 2⁶², 2³².
const HUGE: &[u8] = b"\x8a\x08\0\0\0\0\0\0\0\x40";
const LARGE: &[u8] = b"\x8a\x05\0\0\0\0\x01";

fn refused(bytes: &[u8], part: &str) {
    let reader = Reader::new();
    std::fs::write(&reader.path, bytes).unwrap();
    let most = LARGEST_OF_ALL + 20 * bytes.len();
    let error = reader.read_file(bytes.len(), most).unwrap_err();
    assert!(error.contains(part), "{error}");
}

#[test]
fn a_tensor_that_is_written_by_hand_is_read() {
    let found = Reader::new().read(&old(&tensor(b"K\0", b"K\x02\x85", b"K\x01\x85"), KEYS, TWO));
    assert_eq!(found, Ok(1));
}

#[test]
fn a_tensor_beyond_its_storage_is_refused() {
    let tuple = |numbers: &[&[u8]]| [b"(", numbers.concat().as_slice(), b"t"].concat();
    let one = tuple(&[b"K\x01"]);
    let file = |offset: &[u8], sizes: &[&[u8]], strides: &[&[u8]]| {
        old(&tensor(offset, &tuple(sizes), &tuple(strides)), KEYS, TWO)
    };
    refused(
        &file(b"K\x01", &[b"K\x02"], &[b"K\x01"]),
        "beyond the 2 numbers",
    );
    refused(
        &file(b"K\0", &[b"K\x03"], &[b"K\x01"]),
        "beyond the 2 numbers",
    );
    refused(
        &file(b"K\0", &[b"K\x02"], &[b"K\x02"]),
        "beyond the 2 numbers",
    );
    refused(
        &file(HUGE, &[b"K\x02"], &[b"K\x01"]),
        "beyond the 2 numbers",
    );
    refused(&file(b"K\0", &[HUGE], &[b"K\x01"]), "beyond the 2 numbers");
    refused(&file(b"K\0", &[b"K\x05"], &[HUGE]), "beyond the 2 numbers");
    refused(
        &file(b"K\0", &[LARGE, LARGE], &[b"K\x01", b"K\x01"]),
        "are not in it",
    );
    refused(
        &file(b"J\xff\xff\xff\xff", &[b"K\x01"], &[b"K\x01"]),
        "cannot be",
    );
    refused(
        &file(b"K\0", &[b"J\xff\xff\xff\xff"], &[b"K\x01"]),
        "cannot be",
    );
    refused(
        &file(b"K\0", &[b"K\x01", b"K\x01"], &[b"K\x01"]),
        "cannot be",
    );
    let many: Vec<&[u8]> = vec![b"K\x01"; 65];
    refused(&file(b"K\0", &many, &many), "cannot be");
    refused(
        &old(&tensor(b"K\0", &one, &one), b"]", b""),
        "are not in it",
    );
    let count = |count: u64| old(&tensor(b"K\0", &one, &one), KEYS, &count.to_le_bytes());
    for number in [1, 1 << 31, 1 << 62, u64::MAX] {
        refused(&count(number), "ends within its numbers");
    }
}

#[test]
fn a_tensor_that_repeats_its_numbers_takes_no_memory() {
    let bytes = old(
        &tensor(b"K\0", &[LARGE, b"\x85"].concat(), b"K\0\x85"),
        KEYS,
        TWO,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pt");
    std::fs::write(&path, bytes).unwrap();
    let model = Checkpoint::open(&path).unwrap();
    let error = model.read_f32("a").unwrap_err().to_string();
    assert!(
        error.contains("'a' is a tensor of shape [4294967296]"),
        "{error}"
    );
    assert!(error.contains(".contiguous()"), "{error}");
}

#[test]
fn a_pickle_that_asks_for_much_is_refused_at_once() {
    // Lengths of what is not there.
    for instruction in [
        b"X\xff\xff\xff\xff".as_slice(),
        b"\x8d\0\0\0\0\0\0\0\x40",
        b"\x8b\xff\xff\xff\x7f",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        refused(&old(instruction, b"]", b""), "ends within its pickle");
    }
    // Depth of values, of marks, and places of a memo.
    let nested = [b"]".repeat(100_000), b"a".repeat(99_999)].concat();
    refused(&old(&nested, b"]", b""), "within too many other values");
    refused(
        &old(&b"(".repeat(1 << 20), b"]", b""),
        "takes a value where there is none",
    );
    refused(
        &old(b"]r\xff\xff\xff\xffj\xfe\xff\xff\xff", b"]", b""),
        "a value that is not there",
    );
    refused(
        &old(
            &[b"]".as_slice(), &b"\x94".repeat(5 << 20)].concat(),
            b"]",
            b"",
        ),
        "more instructions",
    );
    let text = [b"X\0\x10\0\0".as_slice(), &[b'a'; 4096], b"0"].concat();
    refused(&old(&text.repeat(20_000), b"]", b""), "more bytes of text");
}

/// A list of ten of a list of ten of …: 10³⁰ values in 600 bytes.
#[test]
fn a_pickle_that_repeats_itself_without_end_is_refused() {
    let mut lists = b"]q\0".to_vec();
    for level in 0..30u8 {
        let before = [b'h', level];
        lists.extend(
            [
                b"](".as_slice(),
                &before.repeat(10),
                b"e",
                b"q",
                &[level + 1],
            ]
            .concat(),
        );
    }
    refused(&old(&lists, b"]", b""), "more than any model has");
    // A dictionary within itself.
    refused(
        &old(b"}q\0U\x01ah\0s", b"]", b""),
        "within too many other values",
    );
}

/// What is long, and looked through again and again.
#[test]
fn a_pickle_that_is_looked_through_without_end_is_refused() {
    let numbers = b"K\x01".repeat(10_000);
    let again = |value: &[u8]| [b"](".as_slice(), &value.repeat(2_000), b"e"].concat();
    let refused_soon = |first: &[u8], value: &[u8]| {
        // The value that is referred to, taken off, and the list of what refers to it.
        let object = [first, b"q\x000", &again(value)].concat();
        refused(&old(&object, b"]", b""), "more than any model has");
    };
    // One key ten thousand times.
    let entries = [b"}(".as_slice(), &b"U\x01aK\x01".repeat(10_000), b"u"].concat();
    refused_soon(&entries, b"h\0");
    // The attributes of an object, its arguments, and a module's buffers.
    refused_soon(&entries, b"ca\nb\n)Rh\0b");
    let pairs = [b"](".as_slice(), &b"]".repeat(10_000), b"e"].concat();
    refused_soon(&pairs, b"ccollections\nOrderedDict\nh\0\x85R");
    let module = b"ca\nb\n)R}(U\x0b_parameters}U\x08_modules}U\x08_buffersh\0ub";
    refused_soon(&entries, module);
    // Shapes and marks: no tensor has so many.
    let shape = [b"(".as_slice(), &numbers, b"t"].concat();
    let long = [shape.as_slice(), b"q\x000", &tensor(b"K\0", b"h\0", b"h\0")].concat();
    refused(&old(&long, KEYS, TWO), "cannot be");
}

/// A tensor under names without end.
#[test]
fn names_that_are_more_than_any_model_has_are_refused() {
    let leaf = tensor(b"K\0", b"K\x02\x85", b"K\x01\x85");
    let mut object = [leaf.as_slice(), b"q\x01"].concat();
    for level in 1..30u8 {
        object.extend(b"}(");
        for key in 0..10u8 {
            object.extend([b'K', key, b'h', level]);
        }
        object.extend([b'u', b'q', level + 1]);
    }
    refused(&old(&object, KEYS, TWO), "too many bytes");
}

/// 16 GiB that are nowhere.
#[test]
fn a_file_of_zeros_takes_no_memory() {
    let reader = Reader::new();
    for beginning in [
        b"PK\x03\x04".as_slice(),
        START,
        b"\x80\x02]q\x00",
        b"\x80\x02X\0\0\0\x7f",
    ] {
        std::fs::write(&reader.path, beginning).unwrap();
        let file = OpenOptions::new().write(true).open(&reader.path).unwrap();
        file.set_len(256 << 20).unwrap();
        assert!(reader.read_file(0, LARGEST_REQUEST).is_err());
    }
}

#[test]
fn a_file_that_changes_is_told_from_the_one_that_was_opened() {
    let Some(whole) = golden("kinds.pt") else {
        return;
    };
    let reader = Reader::new();
    std::fs::write(&reader.path, &whole).unwrap();
    let model = Checkpoint::open(&reader.path).unwrap();
    let mut bytes = Vec::new();
    model
        .read_file(|part| bytes.extend_from_slice(part))
        .unwrap();
    assert_eq!(bytes, whole);
    std::fs::write(&reader.path, [whole.as_slice(), b"x"].concat()).unwrap();
    for result in [model.read_file(|_| ()), model.check()] {
        let error = result.unwrap_err();
        assert!(matches!(error.problem(), Problem::Changed), "{error}");
    }
    std::fs::write(&reader.path, &whole[..100]).unwrap();
    let error = model.read_f32("transposed").unwrap_err();
    assert!(matches!(error.problem(), Problem::Changed), "{error}");
}

#[test]
fn a_changed_number_breaks_the_archives_checksum() {
    let Some(whole) = golden("kinds.pt") else {
        return;
    };
    let reader = Reader::new();
    std::fs::write(&reader.path, &whole).unwrap();
    let model = Checkpoint::open(&reader.path).unwrap();
    model.check().unwrap();
    let first = model.read_f32("f32").unwrap()[0].to_le_bytes();
    let at = whole.windows(4).position(|window| window == first).unwrap();
    let mut changed = whole.clone();
    changed[at] ^= 1;
    std::fs::write(&reader.path, &changed).unwrap();
    let error = Checkpoint::open(&reader.path).unwrap().check().unwrap_err();
    assert!(error.to_string().contains("archive is damaged"), "{error}");
}
