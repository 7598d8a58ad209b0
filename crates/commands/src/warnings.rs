//! What the libraries warn of.

use tracing_subscriber::EnvFilter;

/// What is shown where `RUST_LOG` names nothing: warnings, and what is downloaded.
const SHOWN: &str = "warn,mmdlrm_encoders::models::hub=info";

/// Shows warnings on standard error, or what `RUST_LOG` names, unless the process shows
/// them already.
pub fn show() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| SHOWN.into());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter);
    // An error where another subscriber is there: that one is to stay.
    let _ = subscriber.with_writer(std::io::stderr).try_init();
}
