//! Both ends of net/rpc against each other and against the bytes of the Go SDK.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::Semaphore;

use super::server::unknown_method;
use super::*;
use crate::msgpack::{self, ValueReader};

/// Echoes its argument; `Test.Wait` does so only when told, `Test.Panic` never.
struct Echo {
    gate: Semaphore,
}

impl RpcHandler for Echo {
    fn call(self: Arc<Self>, method: String, argument: Vec<u8>) -> BoxFuture<'static, RpcReply> {
        async move {
            match method.as_str() {
                "Test.Echo" => Ok(argument),
                "Test.Fail" => Err("no available tty".to_owned()),
                "Test.Panic" => panic!("a defect for the test"),
                "Test.Wait" => {
                    self.gate.acquire().await.unwrap().forget();
                    Ok(argument)
                }
                "Test.Open" => {
                    self.gate.add_permits(1000);
                    Ok(NIL.to_vec())
                }
                _ => unknown_method(&method),
            }
        }
        .boxed()
    }
}

fn pair() -> RpcClient {
    let (near, far) = duplex(1 << 16);
    tokio::spawn(serve(far, Arc::new(Echo { gate: Semaphore::new(0) })));
    RpcClient::new(near)
}

fn text(text: &str) -> Vec<u8> {
    msgpack::encode(&text.into())
}

#[tokio::test]
async fn a_call_is_answered() {
    let client = pair();
    assert_eq!(client.call("Test.Echo", text("x")).await, Ok(text("x")));
    assert_eq!(client.call("Test.Fail", text("x")).await, Err(CallError::Remote("no available tty".into())));
    let unknown = client.call("Test.Nope", NIL.to_vec()).await;
    assert_eq!(unknown, Err(CallError::Remote("rpc: can't find method Test.Nope".into())));
    let defect = client.call("Test.Panic", NIL.to_vec()).await;
    assert!(matches!(defect, Err(CallError::Remote(text)) if text.contains("Test.Panic")));
    assert_eq!(client.call("Test.Echo", text("still")).await, Ok(text("still")));
}

#[tokio::test]
async fn answers_overtake_each_other() {
    let client = pair();
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move { client.call("Test.Wait", text(&n.to_string())).await })
        })
        .collect();
    assert_eq!(client.call("Test.Echo", text("quick")).await, Ok(text("quick")));
    client.call("Test.Open", NIL.to_vec()).await.unwrap();
    for (n, call) in waiting.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), Ok(text(&n.to_string())));
    }
}

#[tokio::test]
async fn too_many_calls_at_a_time_are_refused_and_the_rest_served() {
    let (mut wire, far) = duplex(1 << 16);
    tokio::spawn(serve(far, Arc::new(Echo { gate: Semaphore::new(0) })));
    for seq in 0..=MAX_CONCURRENT as u64 {
        let request = RpcRequest { method: "Test.Wait".into(), seq, body: NIL.to_vec() };
        wire.write_all(&request.encode()).await.unwrap();
    }
    let mut reader = ValueReader::new(&mut wire);
    let refused = RpcResponse::read(&mut reader).await.unwrap().unwrap();
    assert_eq!(refused.seq, MAX_CONCURRENT as u64);
    assert!(refused.outcome.unwrap_err().contains("64"));
}

/// Bytes seen between Packer 1.16.0 and a plugin of the Go SDK.
#[tokio::test]
async fn messages_are_the_sdks() {
    let config_spec = b"\x82\xadServiceMethod\xb8PostProcessor.ConfigSpec\xa3Seq\0\xc0";
    let request = RpcRequest { method: "PostProcessor.ConfigSpec".into(), seq: 0, body: NIL.to_vec() };
    assert_eq!(request.encode(), config_spec);
    let mut reader = ValueReader::new(&config_spec[..]);
    assert_eq!(RpcRequest::read(&mut reader).await, Ok(Some(request)));

    let say = RpcRequest { method: "Ui.Say".into(), seq: 0, body: text("hello") };
    assert_eq!(say.encode(), b"\x82\xadServiceMethod\xa6Ui.Say\xa3Seq\0\xa5hello");

    let done = RpcResponse { method: "PostProcessor.Cancel".into(), seq: 6, outcome: Ok(NIL.to_vec()) };
    assert_eq!(done.encode(), b"\x83\xadServiceMethod\xb4PostProcessor.Cancel\xa3Seq\x06\xa5Error\xa0\xc0");

    let nope = "rpc: can't find method PostProcessor.Nope";
    let failed = RpcResponse { method: "PostProcessor.Nope".into(), seq: 300, outcome: Err(nope.into()) };
    let expected = [
        &b"\x83\xadServiceMethod\xb2PostProcessor.Nope\xa3Seq\xcd\x01\x2c\xa5Error\xd9\x29"[..],
        nope.as_bytes(),
        b"\x80",
    ]
    .concat();
    assert_eq!(failed.encode(), expected);
    assert_eq!(RpcResponse::read(&mut ValueReader::new(&expected[..])).await, Ok(Some(failed)));
}

/// Go writes struct fields as it likes, and numbers in any width.
#[tokio::test]
async fn header_keys_come_in_any_order() {
    let bytes = b"\x84\xa5Error\xc0\xa3Seq\xcf\0\0\0\0\0\0\0\x07\xa4More\x91\xc0\xadServiceMethod\xa1m\xc3";
    let response = RpcResponse::read(&mut ValueReader::new(&bytes[..])).await.unwrap().unwrap();
    assert_eq!(response, RpcResponse { method: "m".into(), seq: 7, outcome: Ok(vec![0xc3]) });
}

#[tokio::test]
async fn what_is_no_call_ends_the_stream_with_an_error() {
    for (bytes, error) in [
        (&b"\xc0\xc0"[..], RpcError::Header("ServiceMethod")),
        (b"\x81\xadServiceMethod\xa1m\xc0", RpcError::Header("Seq")),
        (b"\x81", RpcError::Msgpack(msgpack::MsgpackError::Truncated)),
        (b"\x82\xadServiceMethod\xa1m\xa3Seq\0", RpcError::Msgpack(msgpack::MsgpackError::Truncated)),
        (b"\xc1", RpcError::Msgpack(msgpack::MsgpackError::Reserved)),
        (b"\xdf\xff\xff\xff\xff", RpcError::Msgpack(msgpack::MsgpackError::TooLong)),
    ] {
        let (mut wire, far) = duplex(1 << 16);
        wire.write_all(bytes).await.unwrap();
        wire.shutdown().await.unwrap();
        let result = serve(far, Arc::new(Echo { gate: Semaphore::new(0) })).await;
        assert_eq!(result, Err(error), "{bytes:x?}");
    }
}

#[tokio::test]
async fn a_dead_stream_fails_calls_at_once() {
    let (near, mut wire) = duplex(1 << 16);
    let client = RpcClient::new(near);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.call_patiently("Test.Wait", NIL.to_vec()).await }
    });
    let mut first = [0; 1];
    wire.read_exact(&mut first).await.unwrap();
    drop(wire);
    assert_eq!(waiting.await.unwrap(), Err(CallError::Closed));
    assert_eq!(client.call_patiently("Test.Echo", NIL.to_vec()).await, Err(CallError::Closed));
    assert!(client.is_closed());
}

#[tokio::test]
async fn a_peer_that_neither_reads_nor_answers_costs_the_deadline() {
    let (near, _wire) = duplex(16);
    let client = RpcClient::new(near).with_deadline(Duration::from_millis(5));
    for _ in 0..OUTBOX + 4 {
        let late = client.call("Test.Echo", text(&"x".repeat(100))).await;
        assert_eq!(late, Err(CallError::Late("Test.Echo".into())));
    }
}

/// An answer that comes after its caller gave up, or that nobody asked for, disturbs nobody.
#[tokio::test]
async fn stray_answers_are_dropped() {
    let (near, mut wire) = duplex(1 << 16);
    let client = RpcClient::new(near);
    let stray = RpcResponse { method: "x".into(), seq: 99, outcome: Ok(NIL.to_vec()) };
    wire.write_all(&stray.encode()).await.unwrap();
    let call = tokio::spawn(async move { client.call("Test.Echo", NIL.to_vec()).await });
    let mut reader = ValueReader::new(&mut wire);
    let request = RpcRequest::read(&mut reader).await.unwrap().unwrap();
    drop(reader);
    let answer = RpcResponse { method: request.method, seq: request.seq, outcome: Ok(text("yes")) };
    wire.write_all(&answer.encode()).await.unwrap();
    assert_eq!(call.await.unwrap(), Ok(text("yes")));
}

proptest! {
    #[test]
    fn any_bytes_end_the_server(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut wire, far) = duplex(1 << 16);
            wire.write_all(&input).await.unwrap();
            wire.shutdown().await.unwrap();
            let _ = serve(far, Arc::new(Echo { gate: Semaphore::new(0) })).await;
        });
    }
}
