//! Posters and plots that cannot be used, and tables that cannot be read.

use image::ImageFormat;

use crate::{Folder, assert_refused, picture, text, value};

/// One poster, of movie 2, is replaced; the run goes on without it and says
/// which and why.
fn is_missing(path: &str, prepare: impl FnOnce(&Folder), why: &str) {
    let folder = Folder::new();
    folder.posters(&["1,1.jpg", &format!("2,{path}"), "3,3.jpg"]);
    prepare(&folder);
    let output = folder.run(&[]);
    assert_eq!(value(&output, "images"), 2.0, "{path}");
    assert_eq!(value(&output, "failed"), 1.0, "{path}");
    let notes = text(&output.stderr);
    for part in ["movie 2", path, why] {
        assert!(notes.contains(part), "no '{part}' in: {notes}");
    }
    assert!(!notes.contains("panicked"), "{notes}");
}

#[test]
fn a_truncated_jpeg() {
    let whole = picture(200, 300, ImageFormat::Jpeg);
    let half = whole[..whole.len() / 2].to_vec();
    is_missing(
        "half.jpg",
        |folder| folder.write("half.jpg", half),
        "the file is cut off",
    );
}

#[test]
fn a_truncated_png() {
    let whole = picture(200, 300, ImageFormat::Png);
    let half = whole[..whole.len() / 2].to_vec();
    is_missing(
        "half.png",
        |folder| folder.write("half.png", half),
        "the file is cut off",
    );
}

#[test]
fn a_text_file_named_jpg() {
    let write = |folder: &Folder| folder.write("text.jpg", "this is no picture");
    is_missing("text.jpg", write, "it is text");
}

#[test]
fn an_empty_file() {
    is_missing("empty.jpg", |folder| folder.write("empty.jpg", ""), "empty");
}

#[test]
fn a_format_that_is_not_read() {
    let avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf";
    let write = |folder: &Folder| folder.write("avif.jpg", avif);
    is_missing("avif.jpg", write, "it is AVIF, which is not read");
}

#[test]
fn a_page_that_was_saved_in_place_of_a_picture() {
    let page = "<!DOCTYPE html>\n<title>404 Not Found</title>";
    let write = |folder: &Folder| folder.write("page.jpg", page);
    is_missing("page.jpg", write, "it is an HTML page");
}

#[test]
fn every_format_is_told_by_its_bytes_whatever_it_is_called() {
    let folder = Folder::new();
    let pictures = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/encoders/pictures"
    );
    let names = [
        "lossy.webp",
        "animated.webp",
        "hole.gif",
        "runs.bmp",
        "clear.png",
    ];
    let mut rows = Vec::new();
    for (id, name) in (1..).zip(names) {
        let bytes = std::fs::read(format!("{pictures}/{name}")).unwrap();
        folder.write(&format!("{id}.jpg"), bytes);
        rows.push(format!("{id},{id}.jpg"));
    }
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    folder.posters(&rows);
    let output = folder.run(&[]);
    assert_eq!(value(&output, "images"), 5.0, "{}", text(&output.stderr));
    assert_eq!(value(&output, "failed"), 0.0);
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_told_of() {
    let folder = Folder::new();
    folder.posters(&[
        "1,1.jpg",
        "2,",
        "2,https://a.org/2.jpg",
        "2,2.jpg",
        "1,3.jpg",
        "3,/kqjL17yufvn9OVLyXYpvtyrFfak.jpg",
    ]);
    folder.summaries(&["1,robot", "2,witch", "1,another"]);
    let output = folder.run(&[]);
    assert_eq!(value(&output, "images"), 2.0);
    assert_eq!(value(&output, "texts"), 2.0);
    assert_eq!(value(&output, "left_out"), 5.0);
    let notes = text(&output.stderr);
    for part in [
        "left out: 2 rows that name no file; the first: posters.csv, line 4",
        "left out: 1 row without a path; the first: posters.csv, line 3",
        "left out: 1 row of movies that have an earlier row; the first: posters.csv, line 6",
        "left out: 1 row of movies that have an earlier row; the first: summaries.csv, line 4",
    ] {
        assert_eq!(notes.matches(part).count(), 1, "no '{part}' in: {notes}");
    }
}

#[test]
fn a_missing_file() {
    is_missing("nowhere.jpg", |_| {}, "No such file");
}

#[test]
fn a_directory() {
    let make = |folder: &Folder| std::fs::create_dir(folder.path("dir.jpg")).unwrap();
    is_missing("dir.jpg", make, "directory");
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_writes_to() {
    let make = |folder: &Folder| {
        let pipe = std::process::Command::new("mkfifo")
            .arg(folder.path("pipe.jpg"))
            .status();
        assert!(pipe.unwrap().success());
    };
    is_missing("pipe.jpg", make, "not a regular file");
}

/// A header that claims 60,000 × 60,000 pixels: 10 GB.
#[test]
fn a_png_that_claims_to_be_huge() {
    let write = |folder: &Folder| {
        let mut bytes = picture(1, 1, ImageFormat::Png);
        bytes[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        folder.write("bomb.png", bytes);
    };
    is_missing("bomb.png", write, "limit");
}

#[test]
fn a_jpeg_that_claims_to_be_huge() {
    let write = |folder: &Folder| {
        let mut bytes = picture(16, 16, ImageFormat::Jpeg);
        let frame = bytes
            .windows(2)
            .position(|marker| marker == [0xFF, 0xC0])
            .unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0xEA, 0x60, 0xEA, 0x60]);
        folder.write("bomb.jpg", bytes);
    };
    is_missing("bomb.jpg", write, "limit");
}

#[test]
fn a_picture_a_thousand_times_as_long_as_wide() {
    let write = |folder: &Folder| folder.write("long.png", picture(2, 9000, ImageFormat::Png));
    is_missing("long.png", write, "too long for its width");
}

#[test]
fn blank_summaries_are_missing_and_named() {
    let folder = Folder::new();
    folder.summaries(&["1,", "2,\" \t \"", "3,robot"]);
    let output = folder.run(&[]);
    assert_eq!(value(&output, "texts"), 1.0);
    assert_eq!(value(&output, "failed"), 2.0);
    let notes = text(&output.stderr);
    assert!(notes.contains("movie 1: the text is blank"), "{notes}");
    assert!(notes.contains("movie 2: the text is blank"), "{notes}");
}

#[test]
fn strange_summaries_are_embedded() {
    let folder = Folder::new();
    let long = "witch ".repeat(17_000);
    let rows = [
        "1,🤖🧙‍♀️ 👩‍👩‍👧‍👦".to_owned(),
        "2,روبوت وساحرة".to_owned(),
        format!("3,{long}"),
        "4,\u{202E}tobor\u{200B}\u{FEFF}".to_owned(),
    ];
    folder.summaries(&rows.each_ref().map(String::as_str));
    for long_texts in ["truncate", "chunk"] {
        let out = format!("{long_texts}.parquet");
        let output = folder.run(&["--long-texts", long_texts, "--out", &out]);
        assert_eq!(value(&output, "texts"), 4.0);
        assert_eq!(value(&output, "failed"), 0.0);
    }
}

#[test]
fn a_nul_in_a_summary_is_named_by_line() {
    let folder = Folder::new();
    folder.summaries(&["1,robot", "2,a\0b"]);
    assert_refused(&folder.run(&[]), &["summaries.csv", "line 3", "NUL"]);
}

#[test]
fn tables_that_cannot_be_read() {
    for (table, row, parts) in [
        ("posters", "x,1.jpg", &["posters.csv", "line 2", "x"][..]),
        ("posters", "1,", &["posters.csv", "line 2", "not a path"]),
        (
            "posters",
            "1,https://a.org/1.jpg",
            &["posters.csv", "line 2", "is an address (https)"],
        ),
        ("summaries", "1", &["summaries.csv", "line 2"]),
    ] {
        let folder = Folder::new();
        match table {
            "posters" => folder.posters(&[row]),
            _ => folder.summaries(&[row]),
        }
        assert_refused(&folder.run(&[]), parts);
    }
    let folder = Folder::new();
    assert_refused(&folder.run(&["--posters", "nowhere.csv"]), &["nowhere.csv"]);
}

#[test]
fn settings_of_models_that_are_not_named() {
    let folder = Folder::new();
    for (arguments, setting) in [
        (&["--image-size", "64"][..], "encoders.image_size"),
        (&["--pooling", "mean"], "encoders.pooling"),
    ] {
        assert_refused(&folder.run(arguments), &[setting, "is not named"]);
    }
}

#[test]
fn arguments_that_make_no_sense() {
    let folder = Folder::new();
    for (arguments, word) in [
        (&["--text", "gpt:dir"][..], "bert:"),
        (&["--image", "bert:dir"], "resnet:"),
        (&["--long-texts", "shred"], "truncate"),
        (&["--image-size", "many"], "image-size"),
    ] {
        let output = folder.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(word), "{arguments:?}");
    }
    assert_refused(&folder.run(&["--dtype", "f8"]), &["f8", "f32, f16 or bf16"]);
    assert_refused(
        &folder.run(&["--device", "tpu"]),
        &["tpu", "cpu, cuda, metal"],
    );
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn posters_of_which_none_can_be_used() {
    let folder = Folder::new();
    folder.write(
        "p.csv",
        "movieId,poster_path\n1,nowhere/1.jpg\n2,nowhere/2.jpg\n",
    );
    let refused = folder.run(&["--posters", "p.csv"]);
    assert_refused(&refused, &["none of 2 posters", "nowhere/1.jpg"]);
    assert_refused(
        &folder.run(&["--posters", "."]),
        &["it is a folder; name the table of movieId and poster_path"],
    );
}
