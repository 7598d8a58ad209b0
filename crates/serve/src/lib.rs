//! Serves a trained recommender over HTTP.
//!
//! [`mmdlrm::Recommender`] answers questions about one trained run: what a user would like
//! and why, what is like a movie, what somebody new would like, who would like a new movie.
//! This crate puts HTTP before it. [`router`] makes an [`axum::Router`] of a recommender and
//! [`Limits`], to be nested into a server of one's own or asked as it is; [`serve`] listens
//! too, with limits on connections and an end that leaves nobody without an answer.
//!
//! | route | what it answers |
//! | --- | --- |
//! | `GET /` | a page for people: shelves of what is recommended |
//! | `GET /health` | `ok` |
//! | `GET /metrics` | figures for Prometheus |
//! | `GET /openapi.json` | what is below, in full |
//! | `GET /api/info` | how many users and movies there are, and what they are called |
//! | `GET /api/movies?title=` | movies by words of their titles |
//! | `GET /api/movies/{movie}` | a movie |
//! | `GET /api/movies/{movie}/similar` | movies like it |
//! | `GET /api/users/{user}` | a user, and what they rated last |
//! | `GET /api/users/{user}/recommendations` | what a user would like |
//! | `GET /api/users/{user}/shelves` | the same in rows |
//! | `GET /api/users/{user}/stars/{movie}` | stars that a user would give |
//! | `POST /api/visitors` | what somebody new would like |
//! | `POST /api/visitors/shelves` | the same in rows |
//! | `POST /api/newcomers` | who would like a new movie |
//! | `GET /posters/{movie}` | the poster of a movie |
//!
//! Users and movies are named as the data name them: by the numbers of MovieLens, or by the ids of
//! anybody's tables, which are texts in JSON and percent-encoded in paths. `movies` and `stars`
//! stand for the items and the ratings of whatever data the run is of; `/api/info` says what the
//! data call them, and on which scale they rate.
//!
//! A question is work for a core, for milliseconds to seconds. So there is a desk at which
//! questions are taken on: as many as there are cores are worked on at once, some wait, and
//! whoever comes beyond is told at once to come again (503, with `Retry-After`). Work is
//! called off when its client goes away or its time is up. All errors are JSON,
//! `{"error": "…"}`.
//!
//! Figures are those of one router, and not of the process: two of them do not mix, and no
//! global recorder is installed.
//!
//! ```
//! use axum::body::{Body, to_bytes};
//! use axum::http::{Request, StatusCode};
//! use mmdlrm::data::generate::GeneratorConfig;
//! use mmdlrm::{Experiment, ExperimentConfig, Recommender, Silent, Source};
//! use mmdlrm_serve::{Limits, router};
//! use tower::ServiceExt;
//!
//! # let folder = tempfile::tempdir()?;
//! // A run on a tiny made-up release.
//! let mut config = ExperimentConfig {
//!     source: Source::Sample(GeneratorConfig::tiny()),
//!     out: folder.path().join("run"),
//!     ..ExperimentConfig::default()
//! };
//! config.train.epochs = 1;
//! Experiment::new(config.clone())?.run(&mut Silent)?;
//!
//! let recommender = Recommender::load(&config.out, &mut Silent)?;
//! let user = recommender.user_ids()[0];
//! let router = router(recommender, Limits::default());
//!
//! let question = format!("/api/users/{user}/recommendations?count=3");
//! let request = Request::get(question).body(Body::empty())?;
//! let runtime = tokio::runtime::Runtime::new()?;
//! let response = runtime.block_on(router.oneshot(request))?;
//! assert_eq!(response.status(), StatusCode::OK);
//! let answer = runtime.block_on(to_bytes(response.into_body(), usize::MAX))?;
//! let answer = String::from_utf8(answer.to_vec())?;
//! assert_eq!(answer.matches("\"title\"").count(), 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod answers;
mod api;
mod connections;
mod desk;
mod error;
mod extract;
mod ids;
mod limits;
mod measured;
mod newcomer;
mod page;
mod posters;

use std::sync::Arc;

use axum::Router;
use mmdlrm::Recommender;
use tokio::net::TcpListener;

use crate::api::App;

pub use connections::Ended;
pub use limits::Limits;

/// The routes, with the limits on questions. Those on connections, and on how long a
/// client may take over a request's head or leave an answer unread, are [`serve`]'s.
///
/// The first who ask wait for what is computed once, unless
/// [`Recommender::warm_up`] was called.
pub fn router(recommender: Recommender, limits: Limits) -> Router {
    api::routes(Arc::new(App::new(recommender, limits)))
}

/// Serves until `stopped` is ready, then lets what was asked be answered, for a second
/// more than the limit of time at most.
///
/// ```no_run
/// use mmdlrm::{Recommender, Silent};
/// use mmdlrm_serve::{Ended, Limits, serve};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let recommender = Recommender::load("runs/ml-25m", &mut Silent)?;
/// recommender.warm_up()?;
/// let listener = TcpListener::bind("127.0.0.1:3000").await?;
/// let stopped = async {
///     let _ = tokio::signal::ctrl_c().await;
/// };
/// let ended = serve(listener, recommender, Limits::default(), stopped).await;
/// assert_eq!(ended, Ended::Answered);
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    recommender: Recommender,
    limits: Limits,
    stopped: impl Future<Output = ()>,
) -> Ended {
    let app = Arc::new(App::new(recommender, limits));
    let measured = Arc::clone(app.measured());
    connections::serve(listener, api::routes(app), limits, measured, stopped).await
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;
