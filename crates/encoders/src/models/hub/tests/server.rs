//! A server that answers as a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a server that stands still does so: for longer than any test waits.
const STALL: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Default)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub chunked: bool,
    /// Bytes of the body after which the connection is closed.
    pub break_after: Option<usize>,
    /// Bytes of the body after which nothing more comes.
    pub stall_after: Option<usize>,
    /// How many bytes come at a time, and how long the next are waited for.
    pub pause: Option<(usize, Duration)>,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub fn of(body: &[u8]) -> Self {
        Self {
            body: body.to_owned(),
            ..Self::status(200)
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// In the place of what was there.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.with(name, value)
    }

    /// The part that is asked for.
    pub fn range(mut self, request: &Request) -> Self {
        let range = request
            .header("range")
            .and_then(|it| it.strip_prefix("bytes="));
        let Some(range) = range else { return self };
        let start: usize = range.trim_end_matches('-').parse().unwrap();
        let total = self.body.len();
        self.body.drain(..start);
        self.status = 206;
        self.with(
            "Content-Range",
            &format!("bytes {start}-{}/{total}", total - 1),
        )
    }

    fn send(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} Status\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            let port = stream.local_addr()?.port().to_string();
            head += &format!("{name}: {}\r\n", value.replace("PORT", &port));
        }
        head += &match self.chunked {
            true => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
            false => format!("Content-Length: {}\r\n\r\n", self.body.len()),
        };
        stream.write_all(head.as_bytes())?;
        if request.method == "HEAD" {
            return Ok(());
        }
        let end = self
            .break_after
            .or(self.stall_after)
            .unwrap_or(self.body.len());
        let (at_a_time, pause) = self.pause.unwrap_or((usize::MAX, Duration::ZERO));
        for part in self.body[..end.min(self.body.len())].chunks(at_a_time.min(1 << 16)) {
            match self.chunked {
                true => {
                    write!(stream, "{:x}\r\n", part.len())?;
                    stream.write_all(part)?;
                    stream.write_all(b"\r\n")?;
                }
                false => stream.write_all(part)?,
            }
            std::thread::sleep(pause);
        }
        if self.stall_after.is_some() {
            std::thread::sleep(STALL);
        }
        match self.chunked && self.break_after.is_none() {
            true => stream.write_all(b"0\r\n\r\n"),
            false => Ok(()),
        }
    }
}

pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Answers the first request by `answer(request, 0)`, and so on.
    pub fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), requests.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (answer, seen) = (answer.clone(), seen.clone());
                std::thread::spawn(move || {
                    let request = read(&stream)?;
                    let nth = {
                        let mut seen = seen.lock().unwrap();
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    // The other side may have closed it.
                    answer(&request, nth).send(&request, &mut stream).ok()
                });
            }
        });
        Self { address, requests }
    }

    /// What has been asked.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let headers = lines.take_while(|line| !line.is_empty());
    let headers = headers.filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    Some(Request {
        method,
        path,
        headers: headers.collect(),
    })
}
