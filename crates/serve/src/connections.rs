//! Connections: so many at once, none for ever.

use std::io::{self, Write};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};

use crate::limits::{LONGEST_HEAD, Limits};
use crate::measured::Measured;

/// How long nobody is accepted where no file is left for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What one who finds all connections taken is told.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\ncontent-length: 41\r\n\
    retry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":\"too many connections are open\"}";

/// How serving came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "some may be left without an answer"]
pub enum Ended {
    /// Everybody was answered.
    Answered,
    /// Some were not, within the time that they had.
    Unanswered,
}

/// Serves until `stopped`, then lets what was asked be answered.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    measured: Arc<Measured>,
    stopped: impl Future<Output = ()>,
) -> Ended {
    let places = Arc::new(Semaphore::new(limits.connections() as usize));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    // The time for a head counts from the answer before, so that no connection idles longer.
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.time_out())
        .max_buf_size(LONGEST_HEAD);
    let mut stopped = pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // One that was gone before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(_) => {
                sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            turn_away(stream);
            continue;
        };
        // Answers are written whole: nothing is gained by waiting for more of them.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Impatient::new(stream, limits.time_out()));
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(io, service));
        let open = Open::new(place, Arc::clone(&measured));
        tokio::spawn(async move {
            // How a client ended it is the client's affair.
            let _ = connection.await;
            drop(open);
        });
    }
    drop(listener);
    match timeout(limits.patience(), graceful.shutdown()).await {
        Ok(()) => Ended::Answered,
        Err(_) => Ended::Unanswered,
    }
}

fn turn_away(stream: TcpStream) {
    // What does not go out at once is not waited for.
    let _ = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(FULL.as_bytes()));
}

/// An open connection, counted.
struct Open {
    _place: OwnedSemaphorePermit,
    measured: Arc<Measured>,
}

impl Open {
    fn new(place: OwnedSemaphorePermit, measured: Arc<Measured>) -> Self {
        measured.connections(1.0);
        Self {
            _place: place,
            measured,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.measured.connections(-1.0);
    }
}

/// A stream whose client has to take something of what is written within a time.
struct Impatient {
    stream: TcpStream,
    time_out: Duration,
    /// Runs while nothing can be written.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, time_out: Duration) -> Self {
        Self {
            stream,
            time_out,
            waiting: None,
        }
    }

    fn poll_in_time(
        &mut self,
        context: &mut Context,
        write: impl FnOnce(Pin<&mut TcpStream>, &mut Context) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = write(Pin::new(&mut self.stream), context) {
            self.waiting = None;
            return Poll::Ready(written);
        }
        let time_out = self.time_out;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(sleep(time_out)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        into: &mut ReadBuf,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_in_time(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context,
        slices: &[io::IoSlice],
    ) -> Poll<io::Result<usize>> {
        self.poll_in_time(context, |stream, context| {
            stream.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
