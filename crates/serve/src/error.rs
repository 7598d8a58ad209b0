//! What goes wrong, as JSON: `{"error": "there is no user 0"}`.

use std::time::Duration;

use axum::Json;
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mmdlrm::Error;
use mmdlrm::train::Error::CalledOff;
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::desk::Refused;

/// Seconds after which one who was turned away may come again.
const COME_AGAIN: &str = "1";

#[derive(Debug, Serialize, ToSchema)]
pub struct ApiError {
    #[serde(skip)]
    status: StatusCode,
    /// What was wrong, in words.
    error: String,
}

impl ApiError {
    pub fn new(status: StatusCode, error: impl ToString) -> Self {
        Self {
            status,
            error: error.to_string(),
        }
    }

    pub fn not_found(what: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    pub fn bad(what: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, what)
    }

    /// More is asked than can be answered now.
    pub fn busy(what: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, what)
    }

    /// A request that does not arrive.
    pub fn too_slow(time_out: Duration) -> Self {
        let seconds = time_out.as_secs_f64();
        let error = format!("the request did not arrive whole within {seconds} s");
        Self::new(StatusCode::REQUEST_TIMEOUT, error)
    }

    /// A fault of the server's.
    pub fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let again = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let again = again.then_some([(header::RETRY_AFTER, COME_AGAIN)]);
        (self.status, again, Json(self)).into_response()
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Busy => Self::busy("too many wait for an answer"),
            Refused::Late => Self::busy("the answer took too long"),
            Refused::Broken => Self::broken(),
        }
    }
}

/// What any question may be answered by, for the description.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "a description of types alone")]
pub enum Refusals {
    /// What was asked cannot be answered, whoever is asked: something is wrong, missing or
    /// too large, or did not arrive in time.
    #[response(status = "4XX")]
    Wrong(ApiError),
    /// A fault of the server's.
    #[response(status = 500)]
    Broken(ApiError),
    /// Too many ask at once, or the answer took too long; Retry-After says when to come
    /// again.
    #[response(status = 503, headers(("retry-after" = u32, description = "Seconds")))]
    Busy(ApiError),
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::UnknownUser(_)
            | Error::UnknownMovie(_)
            | Error::NobodyNamed(_)
            | Error::UnknownTitle { .. } => StatusCode::NOT_FOUND,
            Error::AmbiguousTitle { .. } => StatusCode::BAD_REQUEST,
            // What was asked makes no sense.
            Error::Setting { .. } | Error::Scale { .. } | Error::Data(_) | Error::CannotTell(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Error::Encoders(mmdlrm::encoders::Error::Picture { .. }) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Error::Train(CalledOff) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error)
    }
}

macro_rules! rejections {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for ApiError {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        }
    )*};
}

rejections!(
    JsonRejection,
    PathRejection,
    QueryRejection,
    MultipartRejection,
    MultipartError
);
