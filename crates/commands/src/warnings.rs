//! What the libraries warn of.

use tracing_subscriber::EnvFilter;

/// Shows warnings on standard error, or what `RUST_LOG` names, unless the process shows
/// them already.
pub fn show() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    // An error where another subscriber is there: that one is to stay.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
