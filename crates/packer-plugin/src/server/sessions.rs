//! Sessions between the Go SDK's own client and server, recorded frame by frame in `tests/goldens/wire`: Packer's frames
//! are sent again to a plugin made here, and what it says must mean what the SDK's plugin said.
//!
//! Meaning, not bytes: Go writes map entries in random order, and what runs concurrently comes in any. ConfigSpec's
//! bytes are compared elsewhere, in order.

use std::collections::BTreeMap;

use rmpv::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate as wire;
use crate::msgpack::{self, ValueScanner};

#[path = "../../examples/wire-plugin/greeter.rs"]
mod greeter;

#[path = "../../examples/wire-plugin/greeting.rs"]
mod greeting;

/// What a side wrote on its streams, by stream.
type Said = BTreeMap<u32, Vec<u8>>;

enum Frame {
    /// From Packer.
    Sent(Vec<u8>),
    /// From the SDK's plugin.
    Heard(Vec<u8>),
}

fn recording(name: &str) -> Vec<Frame> {
    let path = format!("{}/../../tests/goldens/wire/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let frame = |line: &str| match line.split_at_checked(2)? {
        ("> ", hex) => Some(Frame::Sent(bytes(hex))),
        ("< ", hex) => Some(Frame::Heard(bytes(hex))),
        _ => None,
    };
    text.lines().filter_map(frame).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let two = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(two).collect()
}

/// The stream of a data frame.
fn data_stream(frame: &[u8]) -> Option<u32> {
    (frame[1] == 0).then(|| u32::from_be_bytes(frame[4..8].try_into().unwrap()))
}

/// What stands on a stream: the broker's number, then msgpack values; what is incomplete is left out.
fn values(mut bytes: &[u8]) -> Vec<Value> {
    let Some((number, rest)) = bytes.split_at_checked(4) else {
        return Vec::new();
    };
    let mut values = vec![Value::Binary(number.to_vec())];
    bytes = rest;
    while let Some(end) = ValueScanner::default().advance(bytes).unwrap() {
        values.push(msgpack::decode(&bytes[..end]).unwrap());
        bytes = &bytes[end..];
    }
    values
}

/// The messages on a stream, by number, in a form that does not depend on Go's map order.
fn messages(bytes: &[u8]) -> BTreeMap<u64, (Value, Value)> {
    let values = values(bytes);
    let pairs = values[1..].chunks_exact(2);
    pairs
        .map(|pair| (msgpack::get(&pair[0], "Seq").unwrap().as_u64().unwrap(), (sorted(&pair[0]), sorted(&pair[1]))))
        .collect()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Map(entries) => {
            let blind = |key: &Value, value: &Value| match key.as_str() {
                // What a data source answers is a value in bytes; Go's gob of one is in random order too.
                Some("ConfigSpec" | "OutputSpec" | "Value") => Value::Boolean(!value.as_slice().unwrap().is_empty()),
                _ => sorted(value),
            };
            let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), blind(key, value))).collect();
            entries.sort_by_key(|(key, _)| key.to_string());
            Value::Map(entries)
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// Destroy stops at our artifact, so the SDK's plugin said one thing that ours must not say.
fn is_forwarded_destroy(stream: u32, frame: &[u8]) -> bool {
    stream == 2 && frame.windows(16).any(|window| window == b"Artifact.Destroy")
}

async fn hear(wire: &mut DuplexStream, said: &mut Said) {
    let mut frame = vec![0; 12];
    wire.read_exact(&mut frame).await.unwrap();
    if let Some(stream) = data_stream(&frame) {
        let mut body = vec![0; u32::from_be_bytes(frame[8..].try_into().unwrap()) as usize];
        wire.read_exact(&mut body).await.unwrap();
        said.entry(stream).or_default().extend(body);
    }
}

async fn replay(name: &str, encoding: SpecEncoding) {
    replay_to(Component::PostProcessor(Arc::new(greeter::Greeter::default())), name, encoding).await;
}

async fn replay_to(component: Component, name: &str, encoding: SpecEncoding) {
    let (near, mut wire) = duplex(1 << 20);
    let serving = tokio::spawn(serve_connection(near, component, encoding));
    let (mut theirs, mut ours) = (Said::new(), Said::new());
    for frame in recording(name) {
        match frame {
            Frame::Sent(frame) => wire.write_all(&frame).await.unwrap(),
            Frame::Heard(frame) => {
                let Some(stream) = data_stream(&frame).filter(|stream| !is_forwarded_destroy(*stream, &frame)) else {
                    continue;
                };
                let expected = theirs.entry(stream).or_default();
                expected.extend(&frame[12..]);
                let expected = values(expected).len();
                while values(ours.get(&stream).map_or(&[], Vec::as_slice)).len() < expected {
                    hear(&mut wire, &mut ours).await;
                }
            }
        }
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (stream, bytes) in &theirs {
        assert_eq!(ours[stream][..4], bytes[..4], "the number of stream {stream}");
        assert_eq!(messages(&ours[stream]), messages(bytes), "stream {stream}");
    }
    drop(wire);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_build_that_passes() {
    replay("pass_protobuf", SpecEncoding::Protobuf).await;
}

#[tokio::test]
async fn a_build_that_fails_by_gob_and_json() {
    replay("fail_gob", SpecEncoding::Gob).await;
}

#[tokio::test]
async fn a_configuration_that_is_refused() {
    replay("refused", SpecEncoding::Protobuf).await;
}

#[tokio::test]
async fn a_build_that_is_cancelled() {
    replay("cancel", SpecEncoding::Protobuf).await;
}

#[tokio::test]
async fn a_data_source_by_protobuf() {
    let component = Component::DataSource(Arc::new(greeting::Greeting::default()));
    replay_to(component, "data_source_protobuf", SpecEncoding::Protobuf).await;
}

#[tokio::test]
async fn a_data_source_by_gob() {
    let component = Component::DataSource(Arc::new(greeting::Greeting::default()));
    replay_to(component, "data_source_gob", SpecEncoding::Gob).await;
}
