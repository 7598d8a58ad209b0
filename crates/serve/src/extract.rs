//! The extractors of axum, with errors as JSON and a limit of time for bodies.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::api::App;
use crate::error::ApiError;

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
