//! The routes.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Multipart, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use mmdlrm::{Newcomer, Recommender};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::OpenApi;

use crate::answers::{
    Alike, Count, FanInfo, Find, Info, MovieInfo, Recommended, Stars, Visitor, Wish,
};
use crate::error::ApiError;
use crate::{measured, posters};

const TIME_OUT: Duration = Duration::from_secs(10);
/// Bytes of a request, at most; of one with a poster.
const LARGEST: usize = 256 << 10;
const LARGEST_WITH_POSTER: usize = posters::LARGEST as usize + (64 << 10);
/// Characters of a plot, at most.
const LONGEST_PLOT: usize = 20_000;

pub struct App {
    recommender: Recommender,
    /// As many questions are worked on at once as there are cores; others wait.
    places: Semaphore,
    metrics: PrometheusHandle,
}

impl App {
    pub fn new(recommender: Recommender) -> Result<Self, Box<dyn std::error::Error>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let seconds = Matcher::Full(measured::SECONDS.to_owned());
        Ok(Self {
            recommender,
            places: Semaphore::new(cores),
            metrics: PrometheusBuilder::new()
                .set_buckets_for_metric(seconds, &measured::BUCKETS)?
                .install_recorder()?,
        })
    }
}

type Shared = State<Arc<App>>;
type Answer<T> = Result<axum::Json<T>, ApiError>;

// The extractors of axum, with errors as JSON.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
struct Json<T>(T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
struct Path<T>(T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
struct Query<T>(T);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mmdlrm",
        description = "What people would like to watch, by a trained multimodal DLRM."
    ),
    paths(
        info,
        movies,
        movie,
        similar,
        recommendations,
        prediction,
        visitor,
        fans,
        poster
    )
)]
struct Description;

pub fn router(app: Arc<App>) -> Router {
    let with_poster = DefaultBodyLimit::max(LARGEST_WITH_POSTER);
    Router::new()
        .route("/", get(page))
        .route("/health", get(|| async { "ok" }))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .route("/posters/{movie}", get(poster))
        .route("/api/info", get(info))
        .route("/api/movies", get(movies))
        .route("/api/movies/{movie}", get(movie))
        .route("/api/movies/{movie}/similar", get(similar))
        .route("/api/users/{user}/recommendations", get(recommendations))
        .route("/api/users/{user}/stars/{movie}", get(prediction))
        .route("/api/visitors", post(visitor))
        .route("/api/newcomers", post(fans).layer(with_poster))
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method")
        })
        .fallback(|| async { ApiError::not_found("there is nothing here") })
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIME_OUT,
        ))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong").into_response()
        }))
        .layer(middleware::from_fn(measured::measure))
        .with_state(app)
}

/// Works on a question where it holds nobody else up.
async fn work<T: Send + 'static>(
    app: Arc<App>,
    question: impl FnOnce(&Recommender) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let failed = |_| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong");
    let busy = |_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping");
    let place = app.places.acquire().await.map_err(busy)?;
    let shared = Arc::clone(&app);
    let answered = tokio::task::spawn_blocking(move || question(&shared.recommender)).await;
    drop(place);
    answered.map_err(failed)?
}

async fn page() -> Response {
    let policy = "default-src 'none'; img-src 'self' blob: data:; connect-src 'self'; \
                  style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    (headers, Html(include_str!("page.html"))).into_response()
}

async fn metrics(State(app): Shared) -> String {
    app.metrics.render()
}

async fn description() -> impl IntoResponse {
    axum::Json(Description::openapi())
}

/// What there is to ask about
#[utoipa::path(get, path = "/api/info", responses((status = 200, body = Info)))]
async fn info(State(app): Shared) -> axum::Json<Info> {
    axum::Json(Info::new(&app.recommender))
}

/// Movies by words of their titles
#[utoipa::path(get, path = "/api/movies", params(Find),
    responses((status = 200, body = Vec<MovieInfo>), (status = "4XX", body = ApiError)))]
async fn movies(State(app): Shared, Query(find): Query<Find>) -> Answer<Vec<MovieInfo>> {
    let count = find.checked()?;
    let found = work(app, move |recommender| {
        let found = recommender.catalogue().find(&find.title, count).into_iter();
        Ok(found
            .map(|movie| MovieInfo::new(recommender, movie))
            .collect())
    });
    Ok(axum::Json(found.await?))
}

/// A movie
#[utoipa::path(get, path = "/api/movies/{movie}", params(("movie" = u32, Path)),
    responses((status = 200, body = MovieInfo), (status = "4XX", body = ApiError)))]
async fn movie(State(app): Shared, Path(movie): Path<u32>) -> Answer<MovieInfo> {
    Ok(axum::Json(MovieInfo::by_id(&app.recommender, movie)?))
}

/// Movies like another
#[utoipa::path(get, path = "/api/movies/{movie}/similar", params(("movie" = u32, Path), Count),
    responses((status = 200, body = Vec<Alike>), (status = "4XX", body = ApiError)))]
async fn similar(
    State(app): Shared,
    Path(movie): Path<u32>,
    Query(count): Query<Count>,
) -> Answer<Vec<Alike>> {
    let count = count.checked()?;
    let found = work(app, move |recommender| {
        Alike::all(recommender, &recommender.similar(movie, count)?)
    });
    Ok(axum::Json(found.await?))
}

/// What a user would like
#[utoipa::path(get, path = "/api/users/{user}/recommendations", params(("user" = u32, Path), Wish),
    responses((status = 200, body = Vec<Recommended>), (status = "4XX", body = ApiError)))]
async fn recommendations(
    State(app): Shared,
    Path(user): Path<u32>,
    Query(wish): Query<Wish>,
) -> Answer<Vec<Recommended>> {
    let query = wish.query()?;
    let found = work(app, move |recommender| {
        Recommended::all(recommender, recommender.recommend(user, &query)?)
    });
    Ok(axum::Json(found.await?))
}

/// Stars that a user would give
#[utoipa::path(get, path = "/api/users/{user}/stars/{movie}",
    params(("user" = u32, Path), ("movie" = u32, Path)),
    responses((status = 200, body = Stars), (status = "4XX", body = ApiError)))]
async fn prediction(State(app): Shared, Path((user, movie)): Path<(u32, u32)>) -> Answer<Stars> {
    let stars = work(
        app,
        move |recommender| Ok(recommender.predict(user, movie)?),
    );
    Ok(axum::Json(Stars {
        stars: stars.await?,
    }))
}

/// What somebody new would like
#[utoipa::path(post, path = "/api/visitors", request_body = Visitor,
    responses((status = 200, body = Vec<Recommended>), (status = "4XX", body = ApiError)))]
async fn visitor(State(app): Shared, Json(visitor): Json<Visitor>) -> Answer<Vec<Recommended>> {
    let (ratings, query) = (visitor.ratings()?, visitor.wish.query()?);
    let found = work(app, move |recommender| {
        let found = recommender.recommend_to_visitor(&ratings, &query)?;
        Recommended::all(recommender, found)
    });
    Ok(axum::Json(found.await?))
}

/// Who would like a movie that nobody has rated
///
/// A form of any of: `poster` (the bytes of a JPEG or PNG), `plot`, `year`, `genre` (once
/// for each), `count`.
#[utoipa::path(post, path = "/api/newcomers",
    responses((status = 200, body = Vec<FanInfo>), (status = "4XX", body = ApiError)))]
async fn fans(
    State(app): Shared,
    form: Result<Multipart, axum::extract::multipart::MultipartRejection>,
) -> Answer<Vec<FanInfo>> {
    let (movie, count) = newcomer(form?).await?;
    let fans = work(app, move |recommender| {
        let fans = recommender.fans(&movie, count)?.into_iter();
        Ok(fans.map(FanInfo::from).collect())
    });
    Ok(axum::Json(fans.await?))
}

async fn newcomer(mut form: Multipart) -> Result<(Newcomer, usize), ApiError> {
    let (mut movie, mut count) = (Newcomer::default(), 10);
    let number = |name: &str, text: &str| {
        let parsed = text.trim().parse::<i32>();
        parsed.map_err(|_| ApiError::bad(format!("{name} is '{text}', which is no number")))
    };
    while let Some(field) = form.next_field().await? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "poster" {
            let bytes = field.bytes().await?;
            movie.poster = (!bytes.is_empty()).then(|| bytes.to_vec());
            continue;
        }
        let text = field.text().await?;
        match name.as_str() {
            "plot" if text.chars().count() > LONGEST_PLOT => {
                let error = format!("a plot has {LONGEST_PLOT} characters at most");
                return Err(ApiError::bad(error));
            }
            "plot" => movie.plot = Some(text),
            "genre" => movie.genres.push(text),
            "year" if text.trim().is_empty() => {}
            "year" => movie.year = Some(number("year", &text)?),
            "count" => {
                let wanted = usize::try_from(number("count", &text)?).unwrap_or(0);
                count = crate::answers::checked(wanted)?;
            }
            other => return Err(ApiError::bad(format!("there is no field '{other}'"))),
        }
    }
    Ok((movie, count))
}

/// The poster of a movie
#[utoipa::path(get, path = "/posters/{movie}", params(("movie" = u32, Path)),
    responses((status = 200, content_type = "image/jpeg"), (status = "4XX", body = ApiError)))]
async fn poster(State(app): Shared, Path(movie): Path<u32>) -> Result<Response, ApiError> {
    work(app, move |recommender| {
        recommender.catalogue().movie(movie)?;
        let path = recommender.catalogue().poster(movie);
        posters::read(path.ok_or_else(|| ApiError::not_found("the movie has no poster"))?)
    })
    .await
}
