//! Serves a trained model over HTTP: a JSON API, its OpenAPI description, health,
//! Prometheus metrics, and a page to try it on.

mod answers;
mod api;
mod connections;
mod desk;
mod error;
mod extract;
mod limits;
mod log;
mod measured;
mod newcomer;
mod posters;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use api::App;
use clap::Parser;
use limits::Limits;
use log::Log;
use mmdlrm::Recommender;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::signal;

/// Clients that the operating system keeps until they are accepted.
const WAITING_TO_CONNECT: u32 = 1024;

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
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("stopping with requests unanswered");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until it is to stop; whether everybody was answered.
fn serve(args: &Args) -> Result<bool, Box<dyn std::error::Error>> {
    let cannot = |error| format!("cannot listen on {}: {error}", args.listen);
    // What is wrong with the address is said before anything is read; nobody can connect
    // before all is.
    let socket = bound(args.listen).map_err(cannot)?;
    let mut log = Log::new();
    let recommender = Recommender::load(&args.run, &mut log)?;
    recommender.warm_up()?;
    log.say("ready");
    let metrics = measured::install()?;
    let runtime = Runtime::new()?;
    let answered: Result<bool, Box<dyn std::error::Error>> = runtime.block_on(async {
        let stopped = stopped()?;
        let listener = socket.listen(WAITING_TO_CONNECT).map_err(cannot)?;
        println!("listening on http://{}", listener.local_addr()?);
        tokio::spawn(measured::keep_up(metrics.clone(), measured::UPKEEP));
        let router = api::router(Arc::new(App::new(recommender, args.limits, metrics)));
        Ok(connections::serve(listener, router, args.limits, stopped).await)
    });
    // Work that was called off need not be waited for.
    runtime.shutdown_background();
    answered
}

fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that was stopped may be started again at once.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Ends with Ctrl-C or SIGTERM, which are listened for from now on.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let (mut interrupted, mut terminated) = {
        use signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        #[cfg(not(unix))]
        drop(signal::ctrl_c().await);
        eprintln!("stopping when all requests are answered");
    })
}
