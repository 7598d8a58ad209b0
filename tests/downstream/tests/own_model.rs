//! A model of somebody else's goes the whole way of ours, and no crate knows it: it is
//! trained, goes on after a kill, is measured, reported, asked and served.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use downstream::nearest::{Nearest, NearestFit};
use mmdlrm::data::generate::GeneratorConfig;
use mmdlrm::{Error, Experiment, ExperimentConfig, Kinds, Query, Recommender, Silent, Source};
use mmdlrm_serve::{Limits, router};
use tower::ServiceExt;

/// Set for the child that is killed: the folder of its run.
const CHILD: &str = "DOWNSTREAM_RUN";
const FIT: NearestFit = NearestFit { shrinkage: 10.0 };

fn config(out: &Path) -> ExperimentConfig {
    ExperimentConfig {
        source: Source::Sample(GeneratorConfig {
            movies: 400,
            ..GeneratorConfig::default()
        }),
        out: out.to_owned(),
        ..ExperimentConfig::default()
    }
}

/// What the child of the test below does; nothing where it is no child.
#[test]
fn child() {
    if let Some(out) = std::env::var_os(CHILD) {
        let experiment = Experiment::new(config(Path::new(&out))).unwrap();
        experiment.fit(&FIT, &mut Silent).unwrap();
    }
}

/// Kills a run as soon as its folder can be resumed.
fn begin_and_kill(out: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child"])
        .env(CHILD, out)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !out.join("config.json").exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.join("report.html").exists());
}

#[test]
fn a_model_of_ones_own_is_trained_resumed_measured_reported_asked_and_served() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    begin_and_kill(&out);

    let resume = || Experiment::resume(&out).unwrap();
    let other = NearestFit { shrinkage: 11.0 };
    let error = resume().fit(&other, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::OtherFit { .. }), "{error}");
    let error = resume().run(&mut Silent).unwrap_err();
    assert!(matches!(error, Error::OtherFit { .. }), "{error}");
    let report = resume().fit(&FIT, &mut Silent).unwrap();
    assert!(report.errors.is_none());
    assert!(report.ndcg_at_10() > Some(0.1), "{report}");

    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("nDCG@10") && !page.contains("RMSE"));
    assert!(!out.join("predictions.parquet").exists());

    let error = Recommender::load(&out, &mut Silent).err().unwrap();
    assert!(error.to_string().contains("kind 'nearest'"), "{error}");
    let kinds = Kinds::default().with::<Nearest>();
    let again = folder.path().join("evaluation");
    let again = kinds.evaluate(&out, None, again, &mut Silent).unwrap();
    assert_eq!(again.ndcg_at_10(), report.ndcg_at_10());

    let recommender = kinds.load(&out, &mut Silent).unwrap();
    let user = recommender.user_ids()[0];
    let found = recommender.recommend(user, &Query::default()).unwrap();
    assert_eq!(found.len(), 10);
    assert!(found[0].stars.is_none() && found[0].score >= found[9].score);
    let rated = recommender.rated_by(user).unwrap();
    assert!(
        found
            .iter()
            .all(|it| rated.iter().all(|rated| rated.0 != it.movie_id))
    );
    let ratings: Vec<(u32, f32)> = rated.iter().take(3).copied().collect();
    let visitor = recommender.recommend_to_visitor(&ratings, &Query::default());
    assert_eq!(visitor.unwrap().len(), 10);
    let error = recommender.predict(user, found[0].movie_id).unwrap_err();
    assert!(
        error.to_string().contains("the model cannot tell"),
        "{error}"
    );

    let best = found[0].movie_id;
    let router = router(recommender, Limits::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |path: String| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = runtime.block_on(router.clone().oneshot(request)).unwrap();
        let status = response.status();
        let body = runtime.block_on(to_bytes(response.into_body(), usize::MAX));
        (status, String::from_utf8(body.unwrap().to_vec()).unwrap())
    };
    let (status, answer) = ask(format!("/api/users/{user}/recommendations"));
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer.contains("\"stars\":null"), "{answer}");
    let (status, answer) = ask(format!("/api/users/{user}/stars/{best}"));
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
}
