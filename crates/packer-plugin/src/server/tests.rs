//! A whole plugin against a whole Packer's side, and against Packer's own bytes.

use std::sync::Mutex;

use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::Notify;

use super::*;
use crate::artifact::LocalArtifact;
use crate::packer::{self, PackerSession, PackerStub, SessionError};
use crate::ui::UiLine;
use crate::{Artifact, AttributeKind, CallError, ComponentConfig, DEFAULT_NAME, OptionsSpec, PostProcessOutcome, Ui};

/// A post-processor that does what its `message` says.
#[derive(Default)]
struct Probe {
    configured: Mutex<Vec<ComponentConfig>>,
    at_work: Notify,
    may_end: Notify,
    ended: Mutex<Vec<String>>,
}

impl Probe {
    fn message(&self) -> String {
        let configured = self.configured.lock().unwrap();
        let last = configured.last().and_then(|config| config.options.get("message"));
        last.and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    }

    fn note(&self, text: impl Into<String>) {
        self.ended.lock().unwrap().push(text.into());
    }

    async fn work(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> PostProcessOutcome {
        match self.message().as_str() {
            "fail" => PostProcessOutcome::failed("rejected\nby the probe"),
            "panic" => panic!("a defect for the test"),
            "wait" => {
                self.at_work.notify_one();
                cancel.cancelled().await;
                self.note(format!("say: {:?}", ui.say("cleaning up").await));
                self.may_end.notified().await;
                self.note("cleaned up");
                PostProcessOutcome::failed("cancelled")
            }
            message => {
                let id = artifact.id().await.unwrap();
                ui.say(&format!("{message}: {id}")).await.unwrap();
                ui.machine("probe,verdict", &["pass"]).await.unwrap();
                PostProcessOutcome::kept()
            }
        }
    }
}

impl PostProcessor for Probe {
    fn spec(&self) -> OptionsSpec {
        OptionsSpec::new().optional("message", AttributeKind::String)
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        let unknown: Vec<_> = config.options.keys().filter(|name| *name != "message").cloned().collect();
        self.configured.lock().unwrap().push(config);
        let result = if unknown.is_empty() { Ok(()) } else { Err(format!("unknown:\n{}", unknown.join("\n"))) };
        async move { result }.boxed()
    }

    fn post_process(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> BoxFuture<'_, PostProcessOutcome> {
        self.work(ui, artifact, cancel).boxed()
    }
}

type Serving = tokio::task::JoinHandle<Result<(), ServeError>>;

async fn start(encoding: SpecEncoding) -> (Arc<Probe>, PackerSession, Serving) {
    let probe = Arc::new(Probe::default());
    let (near, far) = duplex(1 << 16);
    let serving = tokio::spawn(serve_connection(near, Component::PostProcessor(probe.clone()), encoding));
    (probe, PackerSession::start(far).await.unwrap(), serving)
}

fn ami() -> LocalArtifact {
    LocalArtifact {
        id: "us-east-1:ami-1".into(),
        builder_id: "mitchellh.amazonebs".into(),
        state: [("generated_data".into(), packer::generated_data(&[("User", "debian")]))].into(),
        ..LocalArtifact::default()
    }
}

async fn configured(session: &PackerSession, message: &str) {
    session.configure_hcl(&[("packer_build_name", "a")], &json!({ "message": message })).await.unwrap();
}

#[tokio::test]
async fn a_build_runs_as_packer_runs_it() {
    let (probe, session, serving) = start(SpecEncoding::Protobuf).await;
    let remote = session.post_processor();
    remote.config_spec().await.unwrap();
    configured(&session, "<unknown>").await;
    assert!(remote.config_spec().await.unwrap().starts_with(b"\x0a"));
    configured(&session, "hello").await;
    assert_eq!(probe.configured.lock().unwrap()[0].unknowns(), ["message"]);
    let desk = Arc::new(PackerStub::new(ami()));
    let processed = session.post_process(Arc::clone(&desk)).await.unwrap();
    assert_eq!(processed.outcome, PostProcessOutcome::kept());
    let row = UiLine::Machine { category: "probe,verdict".into(), arguments: vec!["pass".into()] };
    assert_eq!(desk.lines(), [UiLine::Say("hello: us-east-1:ami-1".into()), row]);

    // Packer asks these of the artifact that came back, now and for the next post-processor.
    let back = processed.artifact.unwrap();
    assert_eq!(back.id().await.unwrap(), "us-east-1:ami-1");
    assert_eq!(back.builder_id().await.unwrap(), "mitchellh.amazonebs");
    assert_eq!(back.files().await.unwrap(), Vec::<String>::new());
    assert_eq!(back.state("generated_data").await.unwrap(), json!({"User": "debian"}));
    back.destroy().await.unwrap();
    assert_eq!(desk.destroyed(), 0, "the image is never destroyed through our artifact");
    assert!(!serving.is_finished());
    drop((session, back));
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn both_encodings_are_served() {
    let spec = OptionsSpec::new().optional("message", AttributeKind::String);
    let (_, session, _serving) = start(SpecEncoding::Gob).await;
    assert_eq!(session.post_processor().config_spec().await.unwrap(), crate::gob::encode(&spec));
    let (_, session, _serving) = start(SpecEncoding::Protobuf).await;
    assert_eq!(session.post_processor().config_spec().await.unwrap(), crate::spec_proto::encode(&spec));
}

#[tokio::test]
async fn mistakes_reach_the_user_whole() {
    let (_, session, _serving) = start(SpecEncoding::Protobuf).await;
    let refused = session.configure_hcl(&[], &json!({"mesage": "x", "sute": "y"})).await;
    let text = "unknown:\nmesage\nsute".to_owned();
    assert_eq!(refused, Err(SessionError::Call(CallError::Remote(text))));
    configured(&session, "fail").await;
    let processed = session.post_process(Arc::new(PackerStub::new(ami()))).await.unwrap();
    assert_eq!(processed.outcome, PostProcessOutcome::failed("rejected\nby the probe"));
    assert!(processed.artifact.is_none());
}

#[tokio::test]
async fn a_defect_is_an_error_and_the_session_lives_on() {
    let (_, session, _serving) = start(SpecEncoding::Protobuf).await;
    configured(&session, "panic").await;
    let failed = session.post_process(Arc::new(PackerStub::new(ami()))).await;
    assert!(matches!(failed, Err(SessionError::Call(CallError::Remote(text))) if text.contains("defect")));
    configured(&session, "hello").await;
    assert!(session.post_process(Arc::new(PackerStub::new(ami()))).await.is_ok());
}

#[tokio::test]
async fn cancel_overtakes_the_work() {
    let (probe, session, _serving) = start(SpecEncoding::Protobuf).await;
    configured(&session, "wait").await;
    let desk = Arc::new(PackerStub::new(ami()));
    let work = session.post_process(Arc::clone(&desk));
    let cancel = async {
        probe.at_work.notified().await;
        session.post_processor().cancel().await.unwrap();
        assert!(!probe.ended.lock().unwrap().contains(&"cleaned up".to_owned()), "Cancel does not wait for the work");
        probe.may_end.notify_one();
    };
    let (processed, ()) = tokio::join!(work, cancel);
    assert_eq!(processed.unwrap().outcome, PostProcessOutcome::failed("cancelled"));
    assert_eq!(desk.lines(), [UiLine::Say("cleaning up".into())]);
}

#[tokio::test]
async fn a_cancel_before_the_work_holds() {
    let (probe, session, _serving) = start(SpecEncoding::Protobuf).await;
    configured(&session, "wait").await;
    session.post_processor().cancel().await.unwrap();
    probe.may_end.notify_one();
    let processed = session.post_process(Arc::new(PackerStub::new(ami()))).await.unwrap();
    assert_eq!(processed.outcome, PostProcessOutcome::failed("cancelled"));
}

/// Packer was killed: the work is cancelled, its Ui fails at once, and its cleaning up is waited for.
#[tokio::test]
async fn packers_death_is_a_cancel_and_the_work_is_waited_for() {
    let (probe, session, serving) = start(SpecEncoding::Protobuf).await;
    configured(&session, "wait").await;
    let work = tokio::spawn(async move { session.post_process(Arc::new(PackerStub::new(ami()))).await.map(|_| ()) });
    probe.at_work.notified().await;
    work.abort();
    assert!(work.await.is_err());
    while probe.ended.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(probe.ended.lock().unwrap()[0], "say: Err(Closed)");
    assert!(!serving.is_finished(), "the work is not over");
    probe.may_end.notify_one();
    serving.await.unwrap().unwrap();
    assert_eq!(probe.ended.lock().unwrap()[1], "cleaned up");
}

#[tokio::test]
async fn a_peer_that_speaks_nonsense_ends_the_session() {
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\x01\0\x01\0\0\0\x01\0\0\0\0", b""] {
        let (near, mut wire) = duplex(1 << 16);
        let component = Arc::new(Probe::default());
        let serving = tokio::spawn(serve_connection(near, Component::PostProcessor(component), SpecEncoding::Protobuf));
        wire.write_all(nonsense).await.unwrap();
        wire.shutdown().await.unwrap();
        assert!(matches!(serving.await.unwrap(), Err(ServeError::MainStream(_))), "{nonsense:?}");
    }
}

/// Reads the plugin's DATA bytes on one stream until `length` have come; other frames are passed over.
async fn data(wire: &mut DuplexStream, stream: u32, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let mut header = [0; 12];
        wire.read_exact(&mut header).await.unwrap();
        if header[1] == 0 {
            let mut body = vec![0; u32::from_be_bytes(header[8..].try_into().unwrap()) as usize];
            wire.read_exact(&mut body).await.unwrap();
            if header[4..8] == stream.to_be_bytes() {
                bytes.extend(body);
            }
        }
    }
    bytes
}

async fn send(wire: &mut DuplexStream, stream: u32, bytes: &[u8]) {
    let mut frame = vec![0, 0, 0, 0];
    frame.extend(stream.to_be_bytes());
    frame.extend((bytes.len() as u32).to_be_bytes());
    frame.extend(bytes);
    wire.write_all(&frame).await.unwrap();
}

/// A session written down from Packer 1.16.0 and a plugin of the Go SDK, from the first frame to the last answer.
#[tokio::test]
async fn the_sdks_transcript_is_answered_byte_for_byte() {
    let (near, mut wire) = duplex(1 << 16);
    let component = Arc::new(Probe::default());
    tokio::spawn(serve_connection(near, Component::PostProcessor(component), SpecEncoding::Protobuf));
    wire.write_all(b"\0\x01\0\x01\0\0\0\x01\0\0\0\0").await.unwrap();
    send(&mut wire, 1, b"\0\0\0\0").await;
    assert_eq!(data(&mut wire, 1, 4).await, b"\0\0\0\0");

    let spec = crate::spec_proto::encode(&OptionsSpec::new().optional("message", AttributeKind::String));
    send(&mut wire, 1, b"\x82\xadServiceMethod\xb8PostProcessor.ConfigSpec\xa3Seq\x00\xc0").await;
    let answer = [
        &b"\x83\xadServiceMethod\xb8PostProcessor.ConfigSpec\xa3Seq\x00\xa5Error\xa0\x81\xaaConfigSpec\xc4"[..],
        &[spec.len() as u8],
        &spec,
    ]
    .concat();
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);

    // The header alone, then the body: message borders and frames need not coincide.
    let json = br#"{"value":{"message":"fail"},"type":["object",{"message":"string"}]}"#;
    send(&mut wire, 1, b"\x82\xadServiceMethod\xb7PostProcessor.Configure\xa3Se").await;
    let argument =
        [&b"q\x01\x81\xa7Configs\x92\x81\xafpacker_on_error\xa0\xc5\0"[..], &[json.len() as u8], json].concat();
    send(&mut wire, 1, &argument).await;
    let answer = b"\x83\xadServiceMethod\xb7PostProcessor.Configure\xa3Seq\x01\xa5Error\xa0\xc0";
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);

    // PostProcess with Packer's number 1: the plugin opens stream 2 and writes the number.
    send(&mut wire, 1, b"\x82\xadServiceMethod\xb9PostProcessor.PostProcess\xa3Seq\x05\x01").await;
    assert_eq!(data(&mut wire, 2, 4).await, b"\x01\0\0\0");
    wire.write_all(b"\0\x01\0\x02\0\0\0\x02\0\0\0\0").await.unwrap();
    send(&mut wire, 2, b"\x01\0\0\0").await;
    let answer = b"\x83\xadServiceMethod\xb9PostProcessor.PostProcess\xa3Seq\x05\xa5Error\xa0\
        \x84\xa3Err\x81\xa7Message\xb5rejected\nby the probe\xa4Keep\xc3\xadForceOverride\xc3\xa8StreamId\x00";
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);

    send(&mut wire, 1, b"\x82\xadServiceMethod\xb4PostProcessor.Cancel\xa3Seq\x06\xc0").await;
    let answer = b"\x83\xadServiceMethod\xb4PostProcessor.Cancel\xa3Seq\x06\xa5Error\xa0\xc0";
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);

    send(&mut wire, 1, b"\x82\xadServiceMethod\xb2PostProcessor.Nope\xa3Seq\x07\xc0").await;
    let nope = "rpc: can't find method PostProcessor.Nope";
    let answer =
        [&b"\x83\xadServiceMethod\xb2PostProcessor.Nope\xa3Seq\x07\xa5Error\xd9\x29"[..], nope.as_bytes(), b"\x80"]
            .concat();
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);
}

/// The answer that hands the artifact back: Packer opens stream 3 with the plugin's own number 1.
#[tokio::test]
async fn the_artifact_comes_back_under_a_number_of_ours() {
    let (near, mut wire) = duplex(1 << 16);
    let component = Arc::new(Probe::default());
    component.configured.lock().unwrap().push(ComponentConfig::default());
    tokio::spawn(serve_connection(near, Component::PostProcessor(component), SpecEncoding::Protobuf));
    wire.write_all(b"\0\x01\0\x01\0\0\0\x01\0\0\0\0").await.unwrap();
    send(&mut wire, 1, b"\0\0\0\0").await;
    send(&mut wire, 1, b"\x82\xadServiceMethod\xb9PostProcessor.PostProcess\xa3Seq\x00\x01").await;
    assert_eq!(data(&mut wire, 2, 4).await, b"\x01\0\0\0");
    send(&mut wire, 2, b"\x01\0\0\0").await;
    for (call, answer) in [
        (
            &b"\x82\xadServiceMethod\xabArtifact.Id\xa3Seq\x00\xc0"[..],
            &b"\x83\xadServiceMethod\xabArtifact.Id\xa3Seq\x00\xa5Error\xa0\xa3r:a"[..],
        ),
        (
            b"\x82\xadServiceMethod\xa6Ui.Say\xa3Seq\x01\xa5: r:a",
            b"\x83\xadServiceMethod\xa6Ui.Say\xa3Seq\x01\xa5Error\xa0\xc0",
        ),
        (
            b"\x82\xadServiceMethod\xaaUi.Machine\xa3Seq\x02\x82\xa8Category\xadprobe,verdict\xa4Args\x91\xa4pass",
            b"\x83\xadServiceMethod\xaaUi.Machine\xa3Seq\x02\xa5Error\xa0\xc0",
        ),
    ] {
        assert_eq!(data(&mut wire, 2, call.len()).await, call);
        send(&mut wire, 2, answer).await;
    }
    let answer = b"\x83\xadServiceMethod\xb9PostProcessor.PostProcess\xa3Seq\x00\xa5Error\xa0\
        \x84\xa3Err\xc0\xa4Keep\xc3\xadForceOverride\xc3\xa8StreamId\x01";
    assert_eq!(data(&mut wire, 1, answer.len()).await, answer);
    wire.write_all(b"\0\x01\0\x01\0\0\0\x03\0\0\0\0").await.unwrap();
    send(&mut wire, 3, b"\x01\0\0\0").await;
    assert_eq!(data(&mut wire, 3, 4).await, b"\x01\0\0\0");
}

#[tokio::test]
async fn a_component_that_is_not_there_is_named_with_what_is() {
    let plugin = Plugin::new("0.1.0").post_processor(DEFAULT_NAME, Probe::default());
    assert_eq!(plugin.description().post_processors, [DEFAULT_NAME]);
    for (kind, name) in [(ComponentKind::Datasource, "image"), (ComponentKind::PostProcessor, "x")] {
        let error = plugin.find(kind, name).err().unwrap().to_string();
        assert!(error.contains(kind.word()) && error.contains(name) && error.contains(DEFAULT_NAME), "{error}");
    }
    assert!(plugin.find(ComponentKind::PostProcessor, DEFAULT_NAME).is_ok());
}

/// Does nothing, so that whatever goes wrong is the room's.
struct Idle;

impl PostProcessor for Idle {
    fn spec(&self) -> OptionsSpec {
        OptionsSpec::new()
    }

    fn configure(&self, _: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn post_process(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> BoxFuture<'_, PostProcessOutcome> {
        async move {
            let asked = async { tokio::join!(ui.say("x"), artifact.id(), artifact.files(), artifact.state("x")) };
            tokio::select! {
                _ = asked => {}
                () = cancel.cancelled() => {}
            }
            PostProcessOutcome::kept()
        }
        .boxed()
    }
}

/// Packer's half of a session, as one string of bytes.
fn packers_bytes() -> Vec<u8> {
    let frame = |stream: u32, bytes: &[u8]| {
        [&[0; 4], &stream.to_be_bytes()[..], &(bytes.len() as u32).to_be_bytes(), bytes].concat()
    };
    [
        b"\0\x01\0\x01\0\0\0\x01\0\0\0\0".to_vec(),
        frame(1, b"\0\0\0\0"),
        frame(1, b"\x82\xadServiceMethod\xb8PostProcessor.ConfigSpec\xa3Seq\x00\xc0"),
        frame(
            1,
            b"\x82\xadServiceMethod\xb7PostProcessor.Configure\xa3Seq\x01\x81\xa7Configs\x92\x80\xc4\x0c{\"value\":{}}",
        ),
        frame(1, b"\x82\xadServiceMethod\xb9PostProcessor.PostProcess\xa3Seq\x02\x01"),
        b"\0\x01\0\x02\0\0\0\x02\0\0\0\0".to_vec(),
        frame(2, b"\x01\0\0\0"),
        frame(2, b"\x83\xadServiceMethod\xa6Ui.Say\xa3Seq\x00\xa5Error\xa0\xc0"),
        frame(2, b"\x83\xadServiceMethod\xabArtifact.Id\xa3Seq\x01\xa5Error\xa0\xa3r:a"),
        frame(2, b"\x83\xadServiceMethod\xaeArtifact.Files\xa3Seq\x02\xa5Error\xa0\x91\xa1f"),
        frame(2, b"\x83\xadServiceMethod\xaeArtifact.State\xa3Seq\x03\xa5Error\xa0\x81\xa1k\xa1v"),
        b"\0\x01\0\x01\0\0\0\x03\0\0\0\0".to_vec(),
        frame(3, b"\x01\0\0\0"),
        frame(3, b"\x82\xadServiceMethod\xb0Artifact.Destroy\xa3Seq\x00\xc0"),
        frame(1, b"\x82\xadServiceMethod\xb4PostProcessor.Cancel\xa3Seq\x03\xc0"),
        b"\0\x02\0\x01\0\0\0\0\0\0\0\x2a".to_vec(),
    ]
    .concat()
}

/// Sends bytes, in pieces so that the plugin answers some before it sees others, and waits for the plugin's end.
async fn plugin_ends_after(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (near, wire) = duplex(1 << 20);
    let serving = tokio::spawn(serve_connection(near, Component::PostProcessor(Arc::new(Idle)), SpecEncoding::Gob));
    let (mut answers, mut wire) = tokio::io::split(wire);
    for piece in bytes.chunks(piece) {
        // The plugin may have ended already.
        if wire.write_all(piece).await.is_err() {
            break;
        }
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }
    drop(wire.shutdown().await);
    let mut said = Vec::new();
    answers.read_to_end(&mut said).await.unwrap();
    drop((answers, wire));
    // Whether it calls the bytes an error is its own affair; it must not panic, nor wait for what cannot come.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), serving).await;
    drop(ended.expect("the plugin waits for ever").expect("the plugin panicked"));
    said
}

#[tokio::test]
async fn the_ungarbled_session_is_a_whole_one() {
    let said = plugin_ends_after(&packers_bytes(), 50).await;
    let heard = |words: &[u8]| said.windows(words.len()).any(|window| window == words);
    assert!(heard(b"\xa3Err\xc0\xa4Keep\xc3\xadForceOverride\xc3\xa8StreamId\x01"));
    assert!(heard(b"\xb0Artifact.Destroy\xa3Seq\x00\xa5Error\xa0\xc0"));
    assert!(heard(b"\xb4PostProcessor.Cancel\xa3Seq\x03\xa5Error\xa0\xc0"));
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
