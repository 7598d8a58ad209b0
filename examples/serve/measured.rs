//! Requests counted and timed, for Prometheus.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};

/// Bounds of the buckets of the histogram, in seconds.
pub const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0,
];
/// What is measured.
pub const SECONDS: &str = "mmdlrm_request_seconds";
const REQUESTS: &str = "mmdlrm_requests_total";

/// Counts a request by route and status, and times it. Routes are those of the router:
/// what somebody asks for makes no series of its own.
pub async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    histogram!(SECONDS, "route" => route.clone()).record(start.elapsed().as_secs_f64());
    counter!(REQUESTS, "route" => route, "status" => status).increment(1);
    response
}
