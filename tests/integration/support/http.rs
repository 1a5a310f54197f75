//! The few HTTP requests that tests make to the mini cloud's control address on loopback. It refuses everything but small JSON answers.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// Sends one request and reads the JSON answer. `endpoint` is `http://127.0.0.1:PORT`.
pub(crate) fn request(endpoint: &str, method: &str, path: &str, body: Option<&Value>) -> Value {
    let address = endpoint.strip_prefix("http://").expect("an http endpoint").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).expect("the mini cloud answers");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, text) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
}
