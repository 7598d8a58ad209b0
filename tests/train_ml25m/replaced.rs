//! A run takes the place of another only where that is asked for.

use crate::support;
use crate::{Folder, run_in, text};

#[test]
fn a_second_start_leaves_a_finished_run_alone_unless_it_may_replace_it() {
    let folder = Folder::new();
    let arguments = "--data data --preset dlrm --epochs 1 --dim 8 --out runs/test";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let start = |more: &[&str]| run_in(folder.dir.path(), &[&arguments, more].concat());
    let model = || std::fs::read(folder.path("runs/test/model.safetensors")).unwrap();
    let report = || std::fs::read(folder.path("runs/test/report.html")).unwrap();
    assert!(start(&[]).status.success());
    let (first, page) = (model(), report());

    let refused = start(&["--seed", "7"]);
    let stderr = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("runs/test holds a run") && stderr.contains("--overwrite"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(model() == first && report() == page);

    // One that cannot begin replaces nothing.
    let posters = ["--overwrite", "--posters", "nowhere.csv"];
    assert_eq!(start(&posters).status.code(), Some(1));
    assert!(model() == first && report() == page);

    let replaced = start(&["--overwrite", "--seed", "7"]);
    assert!(replaced.status.success(), "{}", text(&replaced.stderr));
    assert!(model() != first);
    let output = support::run(folder.dir.path(), "evaluate", &["runs/test"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
