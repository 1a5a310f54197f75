//! A whole data source against a whole Packer's side, against Packer's own bytes, and against peers that are neither.

use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::config::UNKNOWN;
use crate::packer::{DataSession, SessionError};
use crate::server::{Component, ServeError, serve_connection};
use crate::{gob, spec_proto};

/// Says back what it was told; some words make it fail.
#[derive(Default)]
struct Echo {
    word: Mutex<String>,
}

impl DataSource for Echo {
    fn spec(&self) -> OptionsSpec {
        OptionsSpec::new().required("word", AttributeKind::String)
    }

    fn output(&self) -> BTreeMap<String, AttributeKind> {
        [("word", AttributeKind::String), ("by_region", AttributeKind::map(AttributeKind::String))]
            .map(|(name, kind)| (name.to_owned(), kind))
            .into()
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        let word = config.options.get("word").and_then(Json::as_str).unwrap_or_default().to_owned();
        let refused = word == "refused";
        *self.word.lock().unwrap() = word;
        async move { if refused { Err("two\nlines".to_owned()) } else { Ok(()) } }.boxed()
    }

    fn execute(&self) -> BoxFuture<'_, Result<Map<String, Json>, String>> {
        let word = self.word.lock().unwrap().clone();
        async move {
            let output = match word.as_str() {
                "fail" => return Err("no gold\nyet".to_owned()),
                "panic" => panic!("a defect for the test"),
                "contradict" => json!({ "word": ["a list"] }),
                "wait" => futures::future::pending().await,
                word => json!({ "word": word, "by_region": { "us-east-1": "ami-1" } }),
            };
            Ok(output.as_object().unwrap().clone())
        }
        .boxed()
    }
}

type Serving = tokio::task::JoinHandle<Result<(), ServeError>>;

async fn start(encoding: SpecEncoding) -> (DataSession, Serving) {
    let (near, far) = duplex(1 << 16);
    let component = Component::DataSource(Arc::new(Echo::default()));
    let serving = tokio::spawn(serve_connection(near, component, encoding));
    (DataSession::start(far).await.unwrap(), serving)
}

#[tokio::test]
async fn a_template_reads_the_output() {
    let (session, serving) = start(SpecEncoding::Protobuf).await;
    let remote = session.data_source();
    assert_eq!(
        remote.config_spec().await.unwrap(),
        spec_proto::encode(&OptionsSpec::new().required("word", AttributeKind::String))
    );
    let output = OptionsSpec::new()
        .optional("word", AttributeKind::String)
        .optional("by_region", AttributeKind::map(AttributeKind::String));
    assert_eq!(remote.output_spec().await.unwrap(), spec_proto::encode(&output));
    // As `packer validate` has it: configured, never executed.
    session.configure(&json!({ "word": UNKNOWN })).await.unwrap();
    session.configure(&json!({ "word": "hello" })).await.unwrap();
    let expected = json!({ "word": "hello", "by_region": { "us-east-1": "ami-1" } });
    assert_eq!(Json::Object(remote.values().await.unwrap()), expected);
    drop(session);
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn older_packers_are_answered_in_gob() {
    let (session, _serving) = start(SpecEncoding::Gob).await;
    let remote = session.data_source();
    assert_eq!(
        remote.config_spec().await.unwrap(),
        gob::encode(&OptionsSpec::new().required("word", AttributeKind::String))
    );
    session.configure(&json!({ "word": "hello" })).await.unwrap();
    let values = json!({ "word": "hello", "by_region": { "us-east-1": "ami-1" } });
    let object = CtyObject::new(&Echo::default().output(), values.as_object().unwrap().clone()).unwrap();
    assert_eq!(remote.execute().await.unwrap(), gob::encode_value(&object));
}

#[tokio::test]
async fn every_failure_reaches_the_user_and_the_session_lives_on() {
    let (session, _serving) = start(SpecEncoding::Protobuf).await;
    let refused = session.configure(&json!({ "word": "refused" })).await;
    assert_eq!(refused, Err(SessionError::Call(CallError::Remote("two\nlines".to_owned()))));
    for (word, says) in [("fail", "no gold\nyet"), ("panic", "defect"), ("contradict", "`word` is to be string")] {
        session.configure(&json!({ "word": word })).await.unwrap();
        let failed = session.data_source().values().await;
        assert!(matches!(&failed, Err(CallError::Remote(text)) if text.contains(says)), "{word}: {failed:?}");
    }
    session.configure(&json!({ "word": "hello" })).await.unwrap();
    assert!(session.data_source().values().await.is_ok());
}

/// Packer was killed while it waited: nothing goes on.
#[tokio::test]
async fn packers_death_ends_the_execution() {
    let (session, serving) = start(SpecEncoding::Protobuf).await;
    session.configure(&json!({ "word": "wait" })).await.unwrap();
    let remote = session.data_source().clone();
    let waiting = tokio::spawn(async move { remote.execute().await });
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());
    drop(session);
    serving.await.unwrap().unwrap();
}

/// A peer in Packer's place that answers whatever it likes: each answer is an error, none a panic.
#[tokio::test]
async fn answers_that_are_none_are_told_apart() {
    for (body, says) in [
        (&b"\xc0"[..], "Value"),
        (b"\x82\xa5Value\xc4\x01\xc0\xa5Error\xc0", "a value with its type"),
        (b"\x82\xa5Value\xc0\xa5Error\xc0", "Value"),
        (b"\x82\xa5Value\xc0\xa5Error\x81\xa7Message\xa2no", "no"),
        (b"\x82\xa5Value\xc0\xa5Error\x05", "Error with a Message"),
    ] {
        let answer = [&b"\x83\xadServiceMethod\xb2Datasource.Execute\xa3Seq\x00\xa5Error\xa0"[..], body].concat();
        let (near, mut far) = duplex(1 << 12);
        let remote = RemoteDataSource::new(RpcClient::new(near));
        let asked = tokio::spawn(async move { remote.values().await });
        far.read_exact(&mut [0; 10]).await.unwrap();
        far.write_all(&answer).await.unwrap();
        let error = asked.await.unwrap().unwrap_err().to_string();
        assert!(error.contains(says), "{body:x?}: {error}");
    }
}

/// Packer's half of a session, as one string of bytes.
fn packers_bytes() -> Vec<u8> {
    let frame = |bytes: &[u8]| [&[0, 0, 0, 0, 0, 0, 0, 1], &(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    [
        b"\0\x01\0\x01\0\0\0\x01\0\0\0\0".to_vec(),
        frame(b"\0\0\0\0"),
        frame(b"\x82\xadServiceMethod\xb5Datasource.ConfigSpec\xa3Seq\x00\xc0"),
        frame(b"\x82\xadServiceMethod\xb4Datasource.Configure\xa3Seq\x01\x81\xa7Configs\x91\xc4\x1a{\"value\":{\"word\":\"hello\"}}"),
        frame(b"\x82\xadServiceMethod\xb5Datasource.OutputSpec\xa3Seq\x02\xc0"),
        frame(b"\x82\xadServiceMethod\xb2Datasource.Execute\xa3Seq\x03\xc0"),
        frame(b"\x82\xadServiceMethod\xb1Datasource.Cancel\xa3Seq\x04\xc0"),
    ]
    .concat()
}

async fn plugin_ends_after(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (near, wire) = duplex(1 << 20);
    let component = Component::DataSource(Arc::new(Echo::default()));
    let serving = tokio::spawn(serve_connection(near, component, SpecEncoding::Gob));
    let (mut answers, mut wire) = tokio::io::split(wire);
    for piece in bytes.chunks(piece) {
        // The plugin may have ended already.
        if wire.write_all(piece).await.is_err() {
            break;
        }
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
    }
    drop(wire.shutdown().await);
    let mut said = Vec::new();
    answers.read_to_end(&mut said).await.unwrap();
    drop((answers, wire));
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), serving).await;
    drop(ended.expect("the plugin waits for ever").expect("the plugin panicked"));
    said
}

#[tokio::test]
async fn the_ungarbled_session_is_a_whole_one() {
    let said = plugin_ends_after(&packers_bytes(), 40).await;
    let heard = |words: &[u8]| said.windows(words.len()).any(|window| window == words);
    for words in [
        &b"\xb4Datasource.Configure\xa3Seq\x01\xa5Error\xa0\x81\xa5Error\xc0"[..],
        b"\xb5Datasource.OutputSpec\xa3Seq\x02\xa5Error\xa0\x81\xaaOutputSpec",
        b"\xb2Datasource.Execute\xa3Seq\x03\xa5Error\xa0\x82\xa5Value\xc5",
        b"\xb1Datasource.Cancel\xa3Seq\x04\xa5Error\xa0\xc0",
    ] {
        assert!(heard(words), "{:?}", String::from_utf8_lossy(words));
    }
}

proptest! {
    /// A session with some bytes changed, cut out or doubled.
    #[test]
    fn a_garbled_session_ends(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 0..6),
        piece in 1..200_usize,
    ) {
        let mut bytes = packers_bytes();
        for (place, value, edit) in edits {
            let place = place.index(bytes.len());
            match edit {
                0 => bytes[place] = value,
                1 => drop(bytes.drain(place..(place + usize::from(value % 16)).min(bytes.len()))),
                _ => {
                    let doubled = bytes[place..(place + usize::from(value)).min(bytes.len())].to_vec();
                    bytes.splice(place..place, doubled);
                }
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        drop(runtime.block_on(plugin_ends_after(&bytes, piece)));
    }
}
