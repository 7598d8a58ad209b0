//! The extractors of axum, with errors as JSON and a limit of time for bodies.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::answers::{Visitor, VisitorBy};
use crate::api::App;
use crate::error::ApiError;
use crate::ids::Id;

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

/// A body of JSON.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let axum::Json(body) = in_time(app, axum::Json::from_request(request, app)).await?;
        Ok(Self(body))
    }
}

/// Ids of a path: names where the ids of the data are, and otherwise numbers.
pub struct Ids<T>(pub T);

impl FromRequestParts<Arc<App>> for Ids<Id> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if app.ids_are_names() {
            let Path(name) = Path::<String>::from_request_parts(parts, app).await?;
            return Ok(Self(name.into()));
        }
        let Path(id) = Path::<u32>::from_request_parts(parts, app).await?;
        Ok(Self(id.into()))
    }
}

impl FromRequestParts<Arc<App>> for Ids<(Id, Id)> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if app.ids_are_names() {
            let Path((one, other)) =
                Path::<(String, String)>::from_request_parts(parts, app).await?;
            return Ok(Self((one.into(), other.into())));
        }
        let Path((one, other)) = Path::<(u32, u32)>::from_request_parts(parts, app).await?;
        Ok(Self((one.into(), other.into())))
    }
}

/// A visitor, who names movies by the same ids.
impl FromRequest<Arc<App>> for Visitor {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        if app.ids_are_names() {
            let Json(visitor) = Json::<VisitorBy<String>>::from_request(request, app).await?;
            return Ok(visitor.with_ids());
        }
        let Json(visitor) = Json::<VisitorBy<u32>>::from_request(request, app).await?;
        Ok(visitor.with_ids())
    }
}

/// What arrives within the time for a body.
pub async fn in_time<T, E: Into<ApiError>>(
    app: &App,
    body: impl Future<Output = Result<T, E>>,
) -> Result<T, ApiError> {
    let time_out = app.limits().time_out();
    match timeout(time_out, body).await {
        Ok(body) => body.map_err(Into::into),
        Err(_) => Err(ApiError::too_slow(time_out)),
    }
}
