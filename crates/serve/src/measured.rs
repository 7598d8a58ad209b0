//! Requests counted and timed, for Prometheus.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusRecorder};

/// Bounds of the buckets of the histogram, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0,
];
/// What is measured.
const SECONDS: &str = "mmdlrm_request_seconds";
const REQUESTS: &str = "mmdlrm_requests_total";
const CONNECTIONS: &str = "mmdlrm_connections";
const AT_WORK: &str = "mmdlrm_at_work";
const WAITING: &str = "mmdlrm_waiting";
const CALLED_OFF: &str = "mmdlrm_called_off_total";
/// How often what was recorded is added up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The figures of a server.
pub struct Measured {
    recorder: PrometheusRecorder,
    /// When times were last added up. They are kept one by one until then, however seldom
    /// somebody asks for them.
    added_up: Mutex<Instant>,
    upkeep: Duration,
}

impl Default for Measured {
    fn default() -> Self {
        Self::new(UPKEEP)
    }
}

impl Measured {
    pub fn new(upkeep: Duration) -> Self {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS);
        Self {
            // The only error is that of no buckets.
            recorder: builder.unwrap_or_default().build_recorder(),
            added_up: Mutex::new(Instant::now()),
            upkeep,
        }
    }

    /// A request was answered.
    pub fn request(&self, route: String, status: u16, time: Duration) {
        with_local_recorder(&self.recorder, || {
            histogram!(SECONDS, "route" => route.clone()).record(time.as_secs_f64());
            counter!(REQUESTS, "route" => route, "status" => status.to_string()).increment(1);
        });
        self.keep_up();
    }

    /// Adds up what was recorded, if it is time. Nobody waits for another who does.
    fn keep_up(&self) {
        if let Ok(mut added_up) = self.added_up.try_lock()
            && added_up.elapsed() >= self.upkeep
        {
            self.recorder.handle().run_upkeep();
            *added_up = Instant::now();
        }
    }

    /// So many connections more, or fewer.
    pub fn connections(&self, more: f64) {
        with_local_recorder(&self.recorder, || gauge!(CONNECTIONS).increment(more));
    }

    /// So many questions are worked on, and so many wait.
    pub fn questions(&self, at_work: usize, waiting: usize) {
        with_local_recorder(&self.recorder, || {
            gauge!(AT_WORK).set(at_work as f64);
            gauge!(WAITING).set(waiting as f64);
        });
    }

    /// A question was called off.
    pub fn called_off(&self) {
        with_local_recorder(&self.recorder, || counter!(CALLED_OFF).increment(1));
    }

    /// All of it, as Prometheus reads it.
    pub fn render(&self) -> String {
        self.recorder.handle().render()
    }
}

/// Counts a request by route and status, and times it. Routes are those of the router:
/// what somebody asks for makes no series of its own.
pub async fn measure(
    State(measured): State<Arc<Measured>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none", MatchedPath::as_str).to_owned();
    let start = Instant::now();
    let response = next.run(request).await;
    measured.request(route, response.status().as_u16(), start.elapsed());
    response
}

#[cfg(test)]
mod tests;
