//! `mmdlrm serve`: a saved run over HTTP.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::value_parser;
use mmdlrm::Recommender;
use mmdlrm_commands::AskedRun;
use mmdlrm_serve::{Ended, Limits};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::signal;

use crate::log::Log;

/// Clients that the operating system keeps until they are accepted.
const WAITING_TO_CONNECT: u32 = 1024;

/// Serve a trained model over HTTP.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    asked: AskedRun,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Questions that are worked on at once [default: one a core]
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().at_work(), hide_default_value = true,
        value_parser = value_parser!(u32).range(1..=256))]
    at_work: u32,
    /// Questions that wait for their turn; whoever asks beyond them is told to come again
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().waiting())]
    waiting: u32,
    /// Connections at once
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().connections(),
        value_parser = value_parser!(u32).range(1..))]
    connections: u32,
    /// Seconds that the head of a request may take to arrive, its body, and its answer, and
    /// that a client may leave an answer unread
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    time_out: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| format!("'{text}' is no number of seconds"))?;
    match seconds {
        0.001..=3600.0 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("it must be from 0.001 to 3600 seconds".to_owned()),
    }
}

impl Args {
    fn limits(&self) -> Limits {
        Limits::default()
            .with_at_work(self.at_work)
            .with_waiting(self.waiting)
            .with_connections(self.connections)
            .with_time_out(self.time_out)
    }
}

/// Serves until it is to stop, and says on standard error what went wrong.
pub fn run(args: &Args) -> ExitCode {
    match serve(args) {
        Ok(Ended::Answered) => ExitCode::SUCCESS,
        Ok(Ended::Unanswered) => {
            eprintln!("stopping with requests unanswered");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<Ended, Box<dyn Error>> {
    let cannot = |error| format!("cannot listen on {}: {error}", args.listen);
    // What is wrong with the address is said before anything is read; nobody can connect
    // before all is.
    let socket = bound(args.listen).map_err(cannot)?;
    let mut log = Log::new();
    let recommender = Recommender::load(args.asked.clone().folder()?, &mut log)?;
    log.say("preparing to answer");
    recommender.warm_up()?;
    log.say("ready");
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(async {
        let stopped = stopped()?;
        let listener = socket.listen(WAITING_TO_CONNECT).map_err(cannot)?;
        println!("listening on http://{}", listener.local_addr()?);
        Ok(mmdlrm_serve::serve(listener, recommender, args.limits(), stopped).await)
    });
    // Work that was called off need not be waited for.
    runtime.shutdown_background();
    ended
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
