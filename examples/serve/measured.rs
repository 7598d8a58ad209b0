//! Requests counted and timed, for Prometheus.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of the buckets of the histogram, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0,
];
/// What is measured.
const SECONDS: &str = "mmdlrm_request_seconds";
const REQUESTS: &str = "mmdlrm_requests_total";
/// How often what was recorded is added up.
pub const UPKEEP: Duration = Duration::from_secs(5);

/// Begins to keep count.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)?
        .install_recorder()
}

/// Adds up what was recorded, again and again: times are kept one by one until then, however
/// seldom somebody asks for them.
pub async fn keep_up(metrics: PrometheusHandle, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        metrics.run_upkeep();
    }
}

/// Counts a request by route and status, and times it. Routes are those of the router:
/// what somebody asks for makes no series of its own.
pub async fn measure(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    record(route, response.status().as_u16(), start.elapsed());
    response
}

pub fn record(route: String, status: u16, time: Duration) {
    histogram!(SECONDS, "route" => route.clone()).record(time.as_secs_f64());
    counter!(REQUESTS, "route" => route, "status" => status.to_string()).increment(1);
}
