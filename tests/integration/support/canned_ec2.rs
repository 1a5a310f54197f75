//! An EC2 endpoint on loopback that answers each action with a text given beforehand and keeps what it was asked: for what the mini cloud
//! does not look at, or answers more kindly than EC2.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// The parameters of one request, as they were sent.
pub(crate) type Parameters = BTreeMap<String, String>;

/// An answer: HTTP status and body.
pub(crate) type Answer = (u16, String);

/// The endpoint; it ends with the process.
pub(crate) struct CannedEc2 {
    endpoint: String,
    requests: Arc<Mutex<Vec<Parameters>>>,
}

impl CannedEc2 {
    /// Serves; `answer` is asked for each request.
    pub(crate) fn start(answer: impl Fn(&Parameters) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let requests = Arc::<Mutex<Vec<Parameters>>>::default();
        let kept = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let Some(parameters) = read(&stream) else { continue };
                let (status, body) = answer(&parameters);
                kept.lock().expect("not poisoned").push(parameters);
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _client_gone = (&stream).write_all((head + &body).as_bytes());
            }
        });
        Self { endpoint, requests }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The requests for one action so far, oldest first.
    pub(crate) fn requests(&self, action: &str) -> Vec<Parameters> {
        let all = self.requests.lock().expect("not poisoned");
        all.iter().filter(|request| request["Action"] == action).cloned().collect()
    }
}

/// An error in EC2's form.
pub(crate) fn error(code: &str, message: &str) -> Answer {
    let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (400, format!("<Response><Errors>{error}</Errors><RequestID>r</RequestID></Response>"))
}

/// Reads one request with its form; nothing for a connection that ends before.
fn read(stream: &TcpStream) -> Option<Parameters> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    Some(pairs.map(|(key, value)| (plain(key), plain(value))).collect())
}

/// Text of a form, percent signs resolved.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hexadecimal")
            }
            other => other,
        });
    }
    String::from_utf8(bytes).expect("UTF-8")
}
