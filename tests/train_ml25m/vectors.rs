//! Vectors that were computed elsewhere, as one more modality.

use std::process::Output;

use crate::changed::{Changed, refuses};
use crate::support::{self, metrics};
use crate::{Folder, run_in, text};

/// A folder with ratings and `sound.parquet`, and how many movies have a vector there.
fn folder() -> (Folder, usize) {
    let folder = Folder::new();
    let known = support::write_vectors(&folder.path("sound.parquet"), &folder.path("data"));
    (folder, known)
}

fn train(folder: &Folder, more: &str) -> Output {
    let all = format!("--data data --epochs 1 --dim 8 --out runs/test {more}");
    run_in(folder.dir.path(), &all.split(' ').collect::<Vec<_>>())
}

#[track_caller]
fn trained(folder: &Folder, more: &str) -> Output {
    let output = train(folder, more);
    assert!(output.status.success(), "{more}: {}", text(&output.stderr));
    output
}

#[test]
fn vectors_of_a_file_join_any_preset_with_modalities() {
    let (folder, known) = folder();
    let movies = folder.read("data/movies.csv").lines().count() - 1;
    for preset in [
        "mmdlrm",
        "mmdlrm-factored",
        "dlrm-multimodal",
        "dlrm-clip",
        "best",
    ] {
        let more = format!("--vectors sound=sound.parquet --overwrite --preset {preset}");
        let output = trained(&folder, &more);
        let stdout = text(&output.stdout);
        assert!(stdout.contains("movie without sound"), "{preset}: {stdout}");
        let stderr = text(&output.stderr);
        let note = "1 movies of the vectors 'sound' are not in the table of movies";
        assert!(stderr.contains(note), "{preset}: {stderr}");
        let last = metrics(&folder.path("runs/test")).pop().unwrap();
        let missing = serde_json::json!([{"modality": "sound", "movies": movies - known}]);
        assert_eq!(last["inputs"]["missing"], missing, "{preset}: {last}");
        let config = folder.read("runs/test/config.json");
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let vectors = serde_json::json!([{"name": "sound", "file": "sound.parquet"}]);
        assert_eq!(config["experiment"]["vectors"], vectors);
        // The model looks at them.
        let model = config["model"].to_string();
        assert!(model.contains(r#""name":"sound""#), "{preset}: {model}");
    }
}

#[test]
fn several_files_stand_beside_posters_plots_and_each_other() {
    let (folder, known) = folder();
    let movies = folder.read("data/movies.csv").lines().count() - 1;
    trained(
        &folder,
        "--posters data/posters.csv --clip clip --vectors sound=sound.parquet \
         --vectors cast=sound.parquet --overwrite",
    );
    let last = metrics(&folder.path("runs/test")).pop().unwrap();
    let missing = last["inputs"]["missing"].as_array().unwrap();
    let names: Vec<_> = missing
        .iter()
        .map(|it| it["modality"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["image", "sound", "cast"]);
    assert_eq!(missing[2]["movies"], movies - known);
}

#[test]
fn what_comes_next_and_streamed_ratings_take_vectors_too() {
    let (folder, _) = folder();
    folder.write("candidates.csv", &crate::runs::candidates(&folder));
    let sound = "--vectors sound=sound.parquet";
    let read = |name: &str| std::fs::read(folder.path(name)).unwrap();
    trained(&folder, sound);
    let whole = read("runs/test/predictions.parquet");
    trained(&folder, &format!("{sound} --stream --overwrite"));
    assert_eq!(read("runs/test/predictions.parquet"), whole);
    trained(&folder, "--overwrite");
    assert_ne!(read("runs/test/predictions.parquet"), whole);
    let rank = "--task rank --candidates candidates.csv --overwrite";
    trained(&folder, rank);
    let without = read("runs/test/candidates.parquet");
    trained(&folder, &format!("{rank} {sound}"));
    assert_ne!(read("runs/test/candidates.parquet"), without);
}

#[test]
fn a_run_is_measured_with_its_own_vectors_and_asked_without_them() {
    let (folder, known) = folder();
    trained(
        &folder,
        "--vectors sound=sound.parquet --preset dlrm-multimodal",
    );
    let dir = folder.dir.path();
    let evaluate = || support::run(dir, "evaluate", &["runs/test"]);
    let movies = folder.read("data/movies.csv");
    let first = movies.lines().nth(1).unwrap().split_once(',').unwrap().0;
    let similar = || support::run(dir, "recommend", &["--run", "runs/test", "similar", first]);
    let output = evaluate();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let before = similar();
    {
        // Of one number of one vector, a bit.
        let number = |mut bytes: Vec<u8>| {
            let number = (first.parse::<i64>().unwrap() as f32).sin().to_le_bytes();
            let at = bytes.windows(4).position(|it| it == number).unwrap();
            bytes[at + 2] ^= 0x40;
            bytes
        };
        let _number = Changed::new(&folder, "sound.parquet", number);
        let part = format!("sound vectors: {known} then and now, but others");
        refuses(&folder, &[&part]);
    }
    {
        let others = folder.path("others.parquet");
        let fewer = dir.join("fewer");
        std::fs::create_dir(&fewer).unwrap();
        let lines: Vec<&str> = movies.lines().take(7).collect();
        std::fs::write(fewer.join("movies.csv"), lines.join("\n")).unwrap();
        assert_eq!(support::write_vectors(&others, &fewer), 4);
        let other = std::fs::read(&others).unwrap();
        let _fewer = Changed::new(&folder, "sound.parquet", |_| other);
        refuses(&folder, &[&format!("sound vectors: {known} then, 4 now")]);
    }
    let output = run_in(dir, &["--resume", "runs/test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    std::fs::remove_file(folder.path("sound.parquet")).unwrap();
    let output = evaluate();
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("cannot read sound.parquet"), "{stderr}");
    let after = similar();
    assert_eq!(
        (after.status.code(), after.stdout),
        (Some(0), before.stdout)
    );
}

/// Checks that a start is refused in one line with all of `parts`, and leaves no run.
#[track_caller]
fn refused(folder: &Folder, more: &str, parts: &[&str]) {
    let output = train(folder, more);
    let stderr = text(&output.stderr);
    assert!(matches!(output.status.code(), Some(1 | 2)), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "no '{part}' in: {stderr}");
    }
    assert!(!folder.path("runs").exists(), "something was half-written");
}

#[test]
fn vectors_that_cannot_be_used_are_refused_before_there_is_a_run() {
    let (folder, _) = folder();
    folder.write("sound.csv", "movieId,sound\n1,0.5\n");
    let movies = folder.read("data/movies.csv");
    let none = folder.path("none");
    std::fs::create_dir(&none).unwrap();
    std::fs::write(none.join("movies.csv"), movies.lines().next().unwrap()).unwrap();
    support::write_vectors(&folder.path("none.parquet"), &none);
    for (vectors, parts) in [
        (
            "sound=nowhere.parquet",
            ["cannot read nowhere.parquet", "check the path"],
        ),
        (
            "sound=data",
            ["cannot read data as Parquet", "write it anew"],
        ),
        (
            "sound=sound.csv",
            ["cannot read sound.csv as Parquet", "write it anew"],
        ),
        (
            "sound=none.parquet",
            ["none.parquet: ", "is a movie of the data"],
        ),
        ("sound.parquet", ["'sound.parquet'", "NAME=FILE"]),
        ("=sound.parquet", ["name of vectors is ''", "at least one"]),
        (
            "image=sound.parquet",
            [
                "is 'image'",
                "something else that a model looks at has that name",
            ],
        ),
        (
            "genre=sound.parquet",
            [
                "is 'genre'",
                "something else that a model looks at has that name",
            ],
        ),
        (
            "a=sound.parquet --vectors a=sound.parquet",
            [
                "is 'a'",
                "something else that a model looks at has that name",
            ],
        ),
        (
            "a=sound.parquet --preset dlrm",
            ["--vectors does nothing", "has no modalities"],
        ),
    ] {
        refused(&folder, &format!("--vectors {vectors}"), &parts);
    }
    let part = "it needs posters, summaries, credits, vectors or the genome";
    refused(&folder, "--preset dlrm-clip", &[part]);
    let parts = ["--credits does nothing", "has no modalities"];
    refused(&folder, "--credits credits.csv --preset dlrm", &parts);
    refused(
        &folder,
        "--credits credits.csv",
        &["credits.csv", "cannot read"],
    );
}
