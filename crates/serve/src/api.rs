//! The routes.

use std::sync::Arc;

use axum::extract::multipart::MultipartRejection;
use axum::extract::{DefaultBodyLimit, Multipart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use mmdlrm::Recommender;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;

use crate::answers::{
    Alike, Count, FanInfo, Find, Info, MovieInfo, Recommended, Shelf, Stars, UserInfo, Visitor,
    Wish,
};
use crate::desk::Desk;
use crate::error::{ApiError, Refusals};
use crate::extract::{Ids, Query, in_time};
use crate::ids::{Id, are_names};
use crate::limits::{LARGEST, LARGEST_WITH_POSTER, Limits, POSTERS_KIB, UPLOADS};
use crate::measured::{Measured, measure};
use crate::newcomer::newcomer;
use crate::{page, posters};

pub struct App {
    recommender: Recommender,
    desk: Desk,
    /// Bodies with posters that may be taken in.
    uploads: Arc<Semaphore>,
    /// KiB of posters that may wait for their clients.
    posters: Arc<Semaphore>,
    limits: Limits,
    measured: Arc<Measured>,
}

impl App {
    pub fn new(recommender: Recommender, limits: Limits) -> Self {
        let measured = Arc::<Measured>::default();
        Self {
            recommender,
            desk: Desk::new(limits, Arc::clone(&measured)),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            posters: Arc::new(Semaphore::new(POSTERS_KIB)),
            limits,
            measured,
        }
    }

    pub fn measured(&self) -> &Arc<Measured> {
        &self.measured
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub fn ids_are_names(&self) -> bool {
        are_names(&self.recommender)
    }

    /// Works on a question until it is answered, called off, or out of time.
    async fn work<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Recommender) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let recommender = self.recommender.clone();
        let work = self
            .desk
            .work(move |stop| question(&recommender.stop_when(stop)));
        work.await?
    }
}

type Shared = State<Arc<App>>;
type Answer<T> = Result<axum::Json<T>, ApiError>;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "mmdlrm",
        description = "What people would like, by a trained multimodal DLRM."
    ),
    paths(
        info,
        movies,
        movie,
        similar,
        user,
        recommendations,
        shelves,
        prediction,
        visitor,
        visitor_shelves,
        fans,
        poster
    ),
    components(schemas(ApiError))
)]
struct Description;

pub fn routes(app: Arc<App>) -> Router {
    let measured = Arc::clone(&app.measured);
    let with_poster = DefaultBodyLimit::max(LARGEST_WITH_POSTER);
    Router::new()
        .merge(page::routes())
        .route("/health", get(|| async { "ok" }))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(description))
        .route("/posters/{movie}", get(poster))
        .route("/api/info", get(info))
        .route("/api/movies", get(movies))
        .route("/api/movies/{movie}", get(movie))
        .route("/api/movies/{movie}/similar", get(similar))
        .route("/api/users/{user}", get(user))
        .route("/api/users/{user}/recommendations", get(recommendations))
        .route("/api/users/{user}/shelves", get(shelves))
        .route("/api/users/{user}/stars/{movie}", get(prediction))
        .route("/api/visitors", post(visitor))
        .route("/api/visitors/shelves", post(visitor_shelves))
        .route("/api/newcomers", post(fans).layer(with_poster))
        .method_not_allowed_fallback(|| async {
            ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "not by this method")
        })
        .fallback(|| async { ApiError::not_found("there is nothing here") })
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(CatchPanicLayer::custom(|_| {
            ApiError::broken().into_response()
        }))
        .layer(middleware::from_fn_with_state(measured, measure))
        .with_state(app)
}

async fn metrics(State(app): Shared) -> String {
    app.desk.measure();
    app.measured.render()
}

async fn description() -> impl IntoResponse {
    axum::Json(Description::openapi())
}

/// What there is to ask about
#[utoipa::path(get, path = "/api/info", responses((status = 200, body = Info), Refusals))]
async fn info(State(app): Shared) -> Answer<Info> {
    Ok(axum::Json(Info::new(&app.recommender)?))
}

/// Movies by words of their titles
#[utoipa::path(get, path = "/api/movies", params(Find),
    responses((status = 200, body = Vec<MovieInfo>), Refusals))]
async fn movies(State(app): Shared, Query(find): Query<Find>) -> Answer<Vec<MovieInfo>> {
    let count = find.checked()?;
    let found = app.work(move |recommender| {
        let found = recommender.catalogue().find(&find.title, count).into_iter();
        Ok(found
            .map(|movie| MovieInfo::new(recommender, movie))
            .collect())
    });
    Ok(axum::Json(found.await?))
}

/// A movie
#[utoipa::path(get, path = "/api/movies/{movie}", params(("movie" = Id, Path)),
    responses((status = 200, body = MovieInfo), Refusals))]
async fn movie(State(app): Shared, Ids(movie): Ids<Id>) -> Answer<MovieInfo> {
    let movie = movie.movie(&app.recommender)?;
    Ok(axum::Json(MovieInfo::by_id(&app.recommender, movie)?))
}

/// Movies like another
#[utoipa::path(get, path = "/api/movies/{movie}/similar", params(("movie" = Id, Path), Count),
    responses((status = 200, body = Vec<Alike>), Refusals))]
async fn similar(
    State(app): Shared,
    Ids(movie): Ids<Id>,
    Query(count): Query<Count>,
) -> Answer<Vec<Alike>> {
    let count = count.or(10)?;
    let found = app.work(move |recommender| {
        let movie = movie.movie(recommender)?;
        Alike::all(recommender, &recommender.similar(movie, count)?)
    });
    Ok(axum::Json(found.await?))
}

/// A user, and what they rated last
#[utoipa::path(get, path = "/api/users/{user}", params(("user" = Id, Path), Count),
    responses((status = 200, body = UserInfo), Refusals))]
async fn user(
    State(app): Shared,
    Ids(user): Ids<Id>,
    Query(count): Query<Count>,
) -> Answer<UserInfo> {
    let count = count.or(20)?;
    let found = app.work(move |recommender| {
        let user = user.user(recommender)?;
        UserInfo::new(recommender, user, count)
    });
    Ok(axum::Json(found.await?))
}

/// What a user would like
#[utoipa::path(get, path = "/api/users/{user}/recommendations", params(("user" = Id, Path), Wish),
    responses((status = 200, body = Vec<Recommended>), Refusals))]
async fn recommendations(
    State(app): Shared,
    Ids(user): Ids<Id>,
    Query(wish): Query<Wish>,
) -> Answer<Vec<Recommended>> {
    let query = wish.query()?;
    let found = app.work(move |recommender| {
        let user = user.user(recommender)?;
        Recommended::all(recommender, recommender.recommend(user, &query)?)
    });
    Ok(axum::Json(found.await?))
}

/// What a user would like, in rows: for them, and because of what they watched
#[utoipa::path(get, path = "/api/users/{user}/shelves", params(("user" = Id, Path), Wish),
    responses((status = 200, body = Vec<Shelf>), Refusals))]
async fn shelves(
    State(app): Shared,
    Ids(user): Ids<Id>,
    Query(wish): Query<Wish>,
) -> Answer<Vec<Shelf>> {
    let query = wish.query()?;
    let found = app.work(move |recommender| {
        let user = user.user(recommender)?;
        Shelf::all(recommender, recommender.shelves(user, &query)?)
    });
    Ok(axum::Json(found.await?))
}

/// Stars that a user would give
#[utoipa::path(get, path = "/api/users/{user}/stars/{movie}",
    params(("user" = Id, Path), ("movie" = Id, Path)),
    responses((status = 200, body = Stars), Refusals))]
async fn prediction(State(app): Shared, Ids((user, movie)): Ids<(Id, Id)>) -> Answer<Stars> {
    let stars = app.work(move |recommender| {
        let (user, movie) = (user.user(recommender)?, movie.movie(recommender)?);
        Ok(recommender.predict(user, movie)?)
    });
    Ok(axum::Json(Stars {
        stars: stars.await?,
    }))
}

/// What somebody new would like
#[utoipa::path(post, path = "/api/visitors", request_body = Visitor,
    responses((status = 200, body = Vec<Recommended>), Refusals))]
async fn visitor(State(app): Shared, visitor: Visitor) -> Answer<Vec<Recommended>> {
    let query = visitor.wish.query()?;
    let found = app.work(move |recommender| {
        let ratings = visitor.ratings(recommender)?;
        let found = recommender.recommend_to_visitor(&ratings, &query)?;
        Recommended::all(recommender, found)
    });
    Ok(axum::Json(found.await?))
}

/// What somebody new would like, in rows; of somebody without ratings what is most watched
#[utoipa::path(post, path = "/api/visitors/shelves", request_body = Visitor,
    responses((status = 200, body = Vec<Shelf>), Refusals))]
async fn visitor_shelves(State(app): Shared, visitor: Visitor) -> Answer<Vec<Shelf>> {
    let query = visitor.wish.query()?;
    let found = app.work(move |recommender| {
        let ratings = visitor.ratings(recommender)?;
        Shelf::all(
            recommender,
            recommender.shelves_for_visitor(&ratings, &query)?,
        )
    });
    Ok(axum::Json(found.await?))
}

/// Who would like a movie that nobody has rated
///
/// A form of any of: `poster` (the bytes of a picture), `plot`, `year`, `genre` (once
/// for each), `count`.
#[utoipa::path(post, path = "/api/newcomers",
    responses((status = 200, body = Vec<FanInfo>), Refusals))]
async fn fans(
    State(app): Shared,
    form: Result<Multipart, MultipartRejection>,
) -> Answer<Vec<FanInfo>> {
    // Before anything of it is taken in.
    let place = Arc::clone(&app.uploads).try_acquire_owned();
    let place = place.map_err(|_| ApiError::busy("too many posters are sent at once"))?;
    let (movie, count) = in_time(&app, newcomer(form?)).await?;
    let fans = app.work(move |recommender| {
        let _place = place;
        FanInfo::all(recommender, recommender.fans(&movie, count)?)
    });
    Ok(axum::Json(fans.await?))
}

/// The poster of a movie
#[utoipa::path(get, path = "/posters/{movie}", params(("movie" = Id, Path)),
    responses((status = 200, content_type = "image/jpeg"), Refusals))]
async fn poster(State(app): Shared, Ids(movie): Ids<Id>) -> Result<Response, ApiError> {
    let memory = Arc::clone(&app.posters);
    let picture = app.work(move |recommender| {
        let movie = movie.movie(recommender)?;
        recommender.catalogue().movie(movie)?;
        let path = recommender.catalogue().poster(movie);
        let path = path.ok_or_else(|| ApiError::not_found("the movie has no poster"))?;
        posters::read(path, memory)
    });
    picture.await
}
