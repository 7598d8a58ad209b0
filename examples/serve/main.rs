//! Serves a trained model over HTTP: a JSON API, its OpenAPI description, health,
//! Prometheus metrics, and a page to try it on.

mod answers;
mod api;
mod error;
mod measured;
mod posters;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use api::App;
use clap::Parser;
use mmdlrm::{Recommender, Silent};
use tokio::net::TcpListener;
use tokio::signal;

/// How long requests may take to be answered once the server is to stop.
const PATIENCE: Duration = Duration::from_secs(15);

/// Serve a trained model over HTTP.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Folder of the run
    #[arg(long, value_name = "DIR", default_value = "runs/sample")]
    run: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let recommender = Recommender::load(&args.run, &mut Silent)?;
    recommender.warm_up()?;
    let app = Arc::new(App::new(recommender)?);
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
        println!("listening on http://{}", listener.local_addr()?);
        // Requests that are being answered are answered first.
        axum::serve(listener, api::router(app))
            .with_graceful_shutdown(stopped())
            .await?;
        Ok(())
    })
}

/// Until Ctrl-C or SIGTERM.
async fn stopped() {
    let interrupted = signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminated = async {
            match signal::unix::signal(signal::unix::SignalKind::terminate()) {
                Ok(mut signals) => drop(signals.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupted => {}
            () = terminated => {}
        }
    }
    #[cfg(not(unix))]
    drop(interrupted.await);
    eprintln!("stopping when all requests are answered");
    // One who never finishes asking holds nothing up for ever.
    std::thread::spawn(|| {
        std::thread::sleep(PATIENCE);
        eprintln!("stopping with requests unanswered");
        std::process::exit(1);
    });
}
