//! Downloads from a server that misbehaves in every way it can.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use md5::{Digest, Md5};
use mmdlrm_data::download::{DownloadEvent, Downloader, Release};
use mmdlrm_data::{Error, MovieLens, Result};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MOVIES: &str = "movieId,title,genres\n1,Heat (1995),Crime\n";
const RATINGS: &str = "userId,movieId,rating,timestamp\n7,1,4.5,100\n";

fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in members {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn release() -> Vec<u8> {
    zip(&[
        ("ml-25m/README.txt", "terms"),
        ("ml-25m/movies.csv", MOVIES),
        ("ml-25m/ratings.csv", RATINGS),
    ])
}

fn md5(bytes: &[u8]) -> String {
    let digest = Md5::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the server answers a request for the archive.
#[derive(Clone, Copy)]
enum Answer {
    /// What was asked for.
    Well,
    /// The whole length is announced, but only so many bytes come.
    CutAfter(usize),
    /// So many bytes come, then nothing for a long time.
    StallAfter(usize),
    Status(u16),
    /// Everything, whatever part was asked for.
    IgnoreRange,
    /// Another part than was asked for.
    WrongPart,
}

struct Server {
    url: String,
    /// The `Range` of each request for the archive.
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    /// Answers the first requests for the archive by `answers`, and the others
    /// well.
    fn start(archive: Vec<u8>, checksum: String, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        let answered = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (archive, checksum) = (archive.clone(), checksum.clone());
                let (answers, seen) = (answers.clone(), Arc::clone(&seen));
                let answered = Arc::clone(&answered);
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let (path, range) = request(&stream);
                    if path.ends_with(".md5") {
                        return send(&mut stream, 200, &[], checksum.as_bytes(), usize::MAX);
                    }
                    seen.lock().unwrap().push(range);
                    let number = answered.fetch_add(1, Ordering::SeqCst);
                    let answer = answers.get(number).copied().unwrap_or(Answer::Well);
                    serve(&mut stream, &archive, range, answer);
                });
            }
        });
        Self { url, ranges }
    }

    /// Serves a good archive, misbehaving at first.
    fn with(answers: &[Answer]) -> Self {
        let archive = release();
        let checksum = format!("{}  ml-25m.zip\n", md5(&archive));
        Self::start(archive, checksum, answers.to_vec())
    }

    fn downloader(&self) -> Downloader {
        Downloader {
            base_url: self.url.clone(),
            patience: Duration::from_millis(300),
            attempts: 3,
            pause: Duration::from_millis(1),
        }
    }

    fn download(&self, into: &Path) -> (Result<PathBuf>, Vec<DownloadEvent>) {
        let mut events = Vec::new();
        let downloader = self.downloader();
        let result = downloader.download(Release::Ml25m, into, |event| events.push(event));
        (result, events)
    }

    fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn request(stream: &TcpStream) -> (String, Option<usize>) {
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines.take_while(|line| !line.is_empty()) {
        let line = line.to_lowercase();
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = start.strip_suffix('-').map(|start| start.parse().unwrap());
        }
    }
    (path, range)
}

fn send(stream: &mut TcpStream, status: u16, headers: &[String], body: &[u8], most: usize) {
    let mut head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n");
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    // The client may have gone away.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body[..most.min(body.len())]);
    let _ = stream.flush();
}

fn serve(stream: &mut TcpStream, archive: &[u8], range: Option<usize>, answer: Answer) {
    let total = archive.len();
    let part = |stream: &mut TcpStream, start: usize, most: usize| match range {
        Some(_) if start >= total => {
            let header = format!("Content-Range: bytes */{total}");
            send(stream, 416, &[header], b"", usize::MAX);
        }
        Some(_) => {
            let header = format!("Content-Range: bytes {start}-{}/{total}", total - 1);
            send(stream, 206, &[header], &archive[start..], most);
        }
        None => send(stream, 200, &[], archive, most),
    };
    let start = range.unwrap_or(0);
    match answer {
        Answer::Well => part(stream, start, usize::MAX),
        Answer::CutAfter(most) => part(stream, start, most),
        Answer::StallAfter(most) => {
            part(stream, start, most);
            std::thread::sleep(Duration::from_secs(3));
        }
        Answer::Status(status) => send(stream, status, &[], b"sorry", usize::MAX),
        Answer::IgnoreRange => send(stream, 200, &[], archive, usize::MAX),
        Answer::WrongPart => part(stream, start + 1, usize::MAX),
    }
}

fn whole(folder: &Path) {
    let movielens = MovieLens::open(folder).unwrap();
    assert_eq!(movielens.ratings.user_ids(), [7]);
    assert_eq!(movielens.movies.title(0), "Heat");
}

/// Nothing but an unfinished archive is left.
fn nothing_in(into: &Path) {
    for entry in std::fs::read_dir(into).unwrap() {
        let name = entry.unwrap().file_name();
        assert_eq!(name, ".ml-25m.zip.partial");
    }
}

#[test]
fn a_release_is_fetched_unpacked_and_not_fetched_again() {
    let into = tempfile::tempdir().unwrap();
    let server = Server::with(&[]);
    let (folder, events) = server.download(into.path());
    whole(&folder.unwrap());
    let total = release().len() as u64;
    let begin = DownloadEvent::Begin {
        done: 0,
        total: Some(total),
    };
    assert_eq!(events.first(), Some(&begin));
    assert_eq!(events.last(), Some(&DownloadEvent::Unpack));
    let (folder, events) = server.download(into.path());
    assert_eq!(
        (folder.unwrap(), events),
        (into.path().join("ml-25m"), vec![])
    );
    assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 1);
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn both_styles_of_checksum_files_are_understood() {
    let archive = release();
    let checksum = format!("MD5 (ml-25m.zip) = {}\n", md5(&archive).to_uppercase());
    let into = tempfile::tempdir().unwrap();
    let server = Server::start(archive, checksum, vec![]);
    whole(&server.download(into.path()).0.unwrap());
}

#[test]
fn a_download_that_is_cut_or_stalls_or_fails_is_gone_on_with() {
    for (answers, ranges) in [
        (vec![Answer::CutAfter(100)], vec![None, Some(100)]),
        (vec![Answer::StallAfter(100)], vec![None, Some(100)]),
        (
            vec![
                Answer::CutAfter(100),
                Answer::Status(500),
                Answer::CutAfter(7),
            ],
            vec![None, Some(100), Some(100), Some(107)],
        ),
        (
            vec![Answer::Status(503), Answer::Status(429)],
            vec![None, None, None],
        ),
        (
            vec![Answer::CutAfter(100), Answer::IgnoreRange],
            vec![None, Some(100)],
        ),
        (
            vec![Answer::CutAfter(100), Answer::WrongPart],
            vec![None, Some(100), Some(100)],
        ),
    ] {
        let into = tempfile::tempdir().unwrap();
        let server = Server::with(&answers);
        let (folder, events) = server.download(into.path());
        whole(&folder.unwrap());
        assert_eq!(server.ranges(), ranges);
        let retry = |event: &&DownloadEvent| matches!(event, DownloadEvent::Retry { .. });
        assert_eq!(events.iter().filter(retry).count(), ranges.len() - 1);
    }
}

#[test]
fn many_breaks_are_borne_as_long_as_each_brings_something() {
    let into = tempfile::tempdir().unwrap();
    let server = Server::with(&[Answer::CutAfter(20); 12]);
    whole(&server.download(into.path()).0.unwrap());
}

#[test]
fn a_server_that_never_recovers_is_given_up_and_what_came_is_kept() {
    let into = tempfile::tempdir().unwrap();
    let mut answers = vec![Answer::CutAfter(100)];
    answers.extend([Answer::Status(500); 20]);
    let server = Server::with(&answers);
    let error = server.download(into.path()).0.unwrap_err();
    assert!(matches!(error, Error::Download { .. }));
    let message = error.to_string();
    assert!(
        message.contains("answered 500") && message.contains("3 attempts"),
        "{message}"
    );
    assert!(message.contains("ml-25m.zip"), "{message}");
    nothing_in(into.path());
    // Another day.
    let server = Server::with(&[]);
    whole(&server.download(into.path()).0.unwrap());
    assert_eq!(server.ranges(), [Some(100)]);
}

#[test]
fn a_file_that_is_not_there_is_not_asked_for_again() {
    let into = tempfile::tempdir().unwrap();
    let server = Server::with(&[Answer::Status(404); 9]);
    let error = server.download(into.path()).0.unwrap_err();
    assert!(error.to_string().contains("answered 404"), "{error}");
    assert_eq!(server.ranges().len(), 1);
    nothing_in(into.path());
}

#[test]
fn a_wrong_checksum_is_refused() {
    let into = tempfile::tempdir().unwrap();
    let server = Server::start(release(), md5(b"something else"), vec![]);
    let error = server.download(into.path()).0.unwrap_err();
    assert!(error.to_string().contains("MD5"), "{error}");
    nothing_in(into.path());
    let server = Server::start(release(), "<html>".to_owned(), vec![]);
    let error = server.download(into.path()).0.unwrap_err();
    assert!(error.to_string().contains("no MD5"), "{error}");
}

#[test]
fn what_was_left_of_another_version_is_fetched_anew() {
    let into = tempfile::tempdir().unwrap();
    for left in [
        vec![b'x'; 50],
        vec![b'x'; release().len()],
        vec![b'x'; 9000],
    ] {
        std::fs::write(into.path().join(".ml-25m.zip.partial"), left).unwrap();
        let folder = Server::with(&[]).download(into.path()).0.unwrap();
        whole(&folder);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn only_what_was_marked_is_removed_where_a_release_is_unpacked() {
    let into = tempfile::tempdir().unwrap();
    let place = into.path().join(".ml-25m.unpacked");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("thesis.tex"), "…").unwrap();
    let error = Server::with(&[]).download(into.path()).0.unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains(".ml-25m.unpacked is in the way"),
        "{message}"
    );
    assert!(place.join("thesis.tex").exists());
    // What a process leaves that is killed: the mark, and some files.
    let mark = "A download is unpacked here. What is left of it may be removed.\n";
    std::fs::remove_file(place.join("thesis.tex")).unwrap();
    std::fs::create_dir(place.join("files")).unwrap();
    std::fs::write(place.join("files/movies.csv"), "half").unwrap();
    std::fs::write(place.join("unpacking.txt"), mark).unwrap();
    whole(&Server::with(&[]).download(into.path()).0.unwrap());
    assert!(!place.exists());
}

#[test]
fn two_downloads_into_one_folder_do_not_mix() {
    let into = tempfile::tempdir().unwrap();
    let partial = std::fs::File::create(into.path().join(".ml-25m.zip.partial")).unwrap();
    partial.lock().unwrap();
    let error = Server::with(&[]).download(into.path()).0.unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
}

/// Serves an archive with the right checksum, and expects it to be refused.
fn refused(archive: Vec<u8>, parts: &[&str]) {
    let outer = tempfile::tempdir().unwrap();
    let into = outer.path().join("a/b");
    let checksum = md5(&archive);
    let server = Server::start(archive, checksum, vec![]);
    let message = server.download(&into).0.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "no '{part}' in: {message}");
    }
    nothing_in(&into);
    assert_eq!(std::fs::read_dir(outer.path()).unwrap().count(), 1);
    assert_eq!(
        std::fs::read_dir(outer.path().join("a")).unwrap().count(),
        1
    );
}

#[test]
fn members_that_lead_out_of_the_folder_are_refused() {
    for name in [
        "../evil",
        "ml-25m/../../evil",
        "/tmp/evil-mmdlrm",
        "ml-25m/../../../evil",
    ] {
        refused(zip(&[(name, "evil")]), &["evil", "folder"]);
    }
    assert!(!Path::new("/tmp/evil-mmdlrm").exists());
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("ml-25m/link", "/etc", SimpleFileOptions::default())
        .unwrap();
    let link = link.finish().unwrap().into_inner();
    refused(link, &["ml-25m/link", "link"]);
}

#[test]
fn an_empty_member_is_refused() {
    let archive = zip(&[("ml-25m/movies.csv", MOVIES), ("ml-25m/ratings.csv", "")]);
    refused(archive, &["ml-25m/ratings.csv", "empty"]);
}

#[test]
fn an_archive_that_is_damaged_or_none_is_refused() {
    let good = release();
    refused(good[..good.len() / 2].to_vec(), &["zip"]);
    refused(b"<html>not found</html>".to_vec(), &["zip"]);
    refused(Vec::new(), &["zip"]);
    // A byte of the compressed text.
    let text = "some text ".repeat(50);
    let mut flipped = zip(&[("ml-25m/ratings.csv", &text)]);
    flipped[60] ^= 0x55;
    refused(flipped, &["ml-25m/ratings.csv"]);
    refused(
        zip(&[("ratings.csv", RATINGS)]),
        &["ratings.csv", "does not lie in a folder"],
    );
}

#[test]
fn releases_go_by_the_names_of_grouplens() {
    for release in Release::ALL {
        assert_eq!(release.name().parse::<Release>().unwrap(), release);
    }
    let error = "ml-99m".parse::<Release>().unwrap_err();
    assert!(error.to_string().contains("'ml-99m'"), "{error}");
}

#[test]
fn a_release_is_written_as_it_is_read() {
    for release in Release::ALL {
        assert_eq!(release.to_string().parse::<Release>().unwrap(), release);
        assert_eq!(release.to_string(), release.name());
    }
    assert_eq!(format!("{:>8}", Release::Ml1m), "   ml-1m");
}
