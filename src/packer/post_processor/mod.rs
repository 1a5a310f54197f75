//! The post-processor `assay` in a Packer template. It owns the life of one post-processor as Packer lives it (Configure any number of times, then
//! PostProcess) and the rule that an error costs the AMI; it refuses to test anything itself.
//!
//! Configure's errors are reported as such only in its first call, before anything was built. Packer calls it again right before PostProcess, when an
//! error would make it destroy the AMI: what is wrong then is kept, and becomes a quarantine in PostProcess.

mod screen;
mod spec;

use std::{panic::AssertUnwindSafe, path::PathBuf, sync::Mutex};

use futures::{FutureExt, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::{
    report::{self, outcomes},
    test_run::{self as run, EventSender, PackerBuild},
};
use assay_config as config;
use assay_config::{AccessSettings, CheckInput, CheckedConfig, EntryPoint, Settings, TemplateOptions};
use assay_ledger as ledger;
use assay_model::{AmiId, BuiltArtifact, RunId, Verdict, artifact::EBSVOLUME_BUILDER_ID};
use assay_suite::SuiteBounds;
use packer_plugin::{Artifact, CallError, ComponentConfig, OptionsSpec, PostProcessOutcome, PostProcessor, Ui};

/// Said before a red end: what Packer prints next looks like a defect.
const SECOND_ERROR: &str = "the AMI is protected and stays. If no other post-processor chain keeps it, Packer now tries to destroy it and reports a second error; this is expected";

/// How often Packer is asked what was built; each question waits for ten seconds.
const MOST_QUESTIONS: usize = 6;

/// The component.
#[derive(Default)]
pub struct AssayPostProcessor {
    configured: Mutex<ConfiguredState>,
}

/// What Configure left behind.
#[derive(Default, Clone)]
struct ConfiguredState {
    calls: u32,
    checked: CheckedConfig,
    force: bool,
    build_name: String,
    builder_type: String,
    /// What was known at the first call: before anything was built.
    began: Option<run::BuildBeginning>,
}

/// What the builder knows and we would like to: from the artifact's `generated_data`.
#[derive(Default)]
struct GeneratedData {
    user: Option<String>,
    communicator: Option<String>,
    packer_run_uuid: Option<String>,
    source_ami: Option<AmiId>,
}

impl PostProcessor for AssayPostProcessor {
    fn spec(&self) -> OptionsSpec {
        spec::of_options()
    }

    fn configure(&self, config: ComponentConfig) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.take_in(&config)?;
            self.begin().await;
            Ok(())
        })
    }

    fn post_process(&self, ui: Ui, artifact: Artifact, cancel: CancellationToken) -> BoxFuture<'_, PostProcessOutcome> {
        Box::pin(async move {
            let (events, listener) = EventSender::channel();
            let screen = tokio::spawn(screen::show(ui, listener));
            let mut outcome = self.work(&artifact, events, cancel).await;
            outcome.error = outcome.error.map(|text| screen::unlike_a_crash(&text));
            // The screen ends when the last sender is gone; Packer may be too, so it is not waited for long.
            let _shown = tokio::time::timeout(std::time::Duration::from_secs(5), screen).await;
            outcome
        })
    }
}

impl AssayPostProcessor {
    fn take_in(&self, config: &ComponentConfig) -> Result<(), String> {
        let template = TemplateOptions {
            options: config.options.clone(),
            from_json_template: config.from_json_template,
            builder_type: config.packer_text("packer_builder_type").map(str::to_owned),
        };
        let working_dir = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let bounds = SuiteBounds { tracked: Some(ledger::tracked_files), ..SuiteBounds::default() };
        let input =
            CheckInput { template: Some(&template), bounds, ..CheckInput::new(EntryPoint::PostProcessor, working_dir) };
        let checked = config::check(&input);
        let text = |key| config.packer_text(key).unwrap_or_default().to_owned();
        let mut configured = self.configured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let calls = configured.calls + 1;
        let errors = if calls == 1 { checked.errors.clone() } else { Vec::new() };
        *configured = ConfiguredState {
            calls,
            checked,
            build_name: text("packer_build_name"),
            builder_type: text("packer_builder_type"),
            force: config.packer_flag("packer_force"),
            began: configured.began.take(),
        };
        if errors.is_empty() { Ok(()) } else { Err(lines(&errors)) }
    }

    /// Notes what the image is made from, once: by the time it is built, somebody may have changed it.
    async fn begin(&self) {
        let settings = {
            let configured = self.configured.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if configured.began.is_some() || configured.calls > 1 {
                return;
            }
            configured.checked.settings.clone()
        };
        let began = run::BuildBeginning::now(settings.as_ref()).await;
        self.configured.lock().unwrap_or_else(std::sync::PoisonError::into_inner).began = Some(began);
    }

    async fn work(&self, artifact: &Artifact, events: EventSender, cancel: CancellationToken) -> PostProcessOutcome {
        let configured = self.configured.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let built = match read(artifact).await {
            Ok(built) => built,
            Err(reason) => return PostProcessOutcome::failed(reason),
        };
        for note in &configured.checked.notes {
            events.note(note.clone());
        }
        let access = configured.checked.access.clone();
        let settings = match configured.checked.clone().decided() {
            Ok(settings) => settings,
            Err(problems) => return quarantine(&access, &built, &lines(&problems), &events, &cancel).await,
        };
        let generated = generated_data(artifact).await;
        if generated.communicator.as_deref() == Some("winrm") {
            let reason = "this build used WinRM; assay tests over SSH only: limit the post-processor with `only`";
            return quarantine(&access, &built, reason, &events, &cancel).await;
        }
        let build = PackerBuild {
            name: configured.build_name,
            builder_type: configured.builder_type,
            artifact_id: built.id.clone(),
            run_uuid: packer_run_uuid(&generated, |name| std::env::var(name).ok()),
            force: configured.force,
        };
        let settings = with_builders_user(settings, generated.user);
        let origin = (generated.source_ami, configured.began);
        let testing = test(settings, built.clone(), build, origin, events.clone(), cancel.clone());
        match AssertUnwindSafe(testing).catch_unwind().await {
            Ok(outcome) => outcome,
            // The error that follows makes Packer destroy what is not protected.
            Err(_) => quarantine(&access, &built, "a defect in assay; its log says more", &events, &cancel).await,
        }
    }
}

/// Runs the test and turns its end into what Packer is told.
async fn test(
    settings: Settings,
    built: BuiltArtifact,
    build: PackerBuild,
    (parent, began): (Option<AmiId>, Option<run::BuildBeginning>),
    events: EventSender,
    cancel: CancellationToken,
) -> PostProcessOutcome {
    let run = RunId::from_packer_run_uuid(&build.run_uuid).unwrap_or_else(|_| RunId::generate());
    let request = run::RunRequest {
        run,
        amis: built.amis,
        settings,
        image_assumed: false,
        builds: vec![build],
        parent,
        protect: true,
        own_only: true,
        stamp: true,
        shard: None,
        candidate: None,
        signer: None,
        began,
    };
    let finished = run::validate(request, events.clone(), cancel).await;
    for line in report::text::summary_lines(&finished.evidence) {
        events.note(line);
    }
    told(&outcomes::RunOutcome::of(&finished.evidence), &events);
    match finished.complaint() {
        None => PostProcessOutcome::kept(),
        Some(complaint) => {
            if !finished.protected.is_empty() {
                events.note(SECOND_ERROR);
            }
            PostProcessOutcome::failed(complaint)
        }
    }
}

/// Tells `assay build`, where that started Packer.
fn told(outcome: &outcomes::RunOutcome, events: &EventSender) {
    let Some(file) = std::env::var_os(outcomes::VARIABLE) else { return };
    if let Err(error) = outcomes::append(file.as_ref(), outcome) {
        events.warn(format!("{}: {}: {error}", outcomes::VARIABLE, file.to_string_lossy()));
    }
}

/// Keeps the AMIs and fails the build: for what is found out too late to be refused in Configure.
async fn quarantine(
    access: &AccessSettings,
    built: &BuiltArtifact,
    reason: &str,
    events: &EventSender,
    cancel: &CancellationToken,
) -> PostProcessOutcome {
    let run = RunId::generate();
    if run::keep(access, run, &built.amis, events, cancel).await {
        events.note(SECOND_ERROR);
    }
    told(&outcomes::RunOutcome { image: None, run, verdict: Verdict::Undecided, amis: built.amis.clone() }, events);
    PostProcessOutcome::failed(format!("undecided: {reason}"))
}

/// Packer's run: it tells every plugin in the environment; builders tell it too, but not every artifact has what a builder said (amazon-import).
fn packer_run_uuid(generated: &GeneratedData, environment: impl Fn(&str) -> Option<String>) -> String {
    let said = environment("PACKER_RUN_UUID").filter(|run| !run.is_empty());
    said.or_else(|| generated.packer_run_uuid.clone()).unwrap_or_default()
}

fn with_builders_user(mut settings: Settings, user: Option<String>) -> Settings {
    settings.ssh.username = settings.ssh.username.or(user.filter(|u| !u.is_empty()));
    settings
}

fn lines(problems: &[config::ConfigProblem]) -> String {
    let count = problems.len();
    let mut text = format!("{count} mistake{} in the configuration of assay:", if count == 1 { "" } else { "s" });
    for problem in problems {
        text.push_str("\n  - ");
        text.push_str(&problem.to_string());
    }
    text
}

/// Reads which AMIs were built. An artifact that is none of AMIs cannot be kept by us, so the text says what to change.
async fn read(artifact: &Artifact) -> Result<BuiltArtifact, String> {
    let builder = patiently(|| artifact.builder_id().boxed()).await?;
    if builder == EBSVOLUME_BUILDER_ID {
        return Err(
            "amazon-ebsvolume makes volumes and snapshots, no AMI to test: limit the post-processor with `only`"
                .to_owned(),
        );
    }
    let id = patiently(|| artifact.id().boxed()).await?;
    BuiltArtifact::parse(&builder, &id).map_err(|error| format!("Unknown artifact type: {builder}: {error}"))
}

/// Asks Packer again where it was too busy to answer: what follows from no answer is that the AMI is destroyed.
async fn patiently<'a>(ask: impl Fn() -> BoxFuture<'a, Result<String, CallError>>) -> Result<String, String> {
    let mut asked = 1;
    loop {
        match ask().await {
            Err(CallError::Late(_)) if asked < MOST_QUESTIONS => asked += 1,
            answer => return answer.map_err(|error| format!("Packer did not say what was built: {error}")),
        }
    }
}

async fn generated_data(artifact: &Artifact) -> GeneratedData {
    let data = match artifact.state("generated_data").await {
        Ok(data) => data,
        Err(error) => {
            tracing::warn!(%error, "the builder's generated data could not be read");
            return GeneratedData::default();
        }
    };
    let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    GeneratedData {
        user: text("User"),
        communicator: text("ConnType"),
        packer_run_uuid: text("PackerRunUUID"),
        source_ami: text("SourceAMI").and_then(|id| id.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_packer_that_is_busy_is_asked_again_and_one_that_is_gone_is_not() {
        let asked = std::cell::Cell::new(0);
        let answer = |late: usize, end: Result<String, CallError>| {
            asked.set(0);
            let asked = &asked;
            move || {
                asked.set(asked.get() + 1);
                let late = asked.get() <= late;
                let answer = if late { Err(CallError::Late("Artifact.Id".to_owned())) } else { end.clone() };
                std::future::ready(answer).boxed()
            }
        };
        let id = patiently(answer(2, Ok("us-east-1:ami-1".to_owned()))).await;
        assert_eq!((id, asked.get()), (Ok("us-east-1:ami-1".to_owned()), 3));
        patiently(answer(0, Err(CallError::Closed))).await.expect_err("it is gone");
        assert_eq!(asked.get(), 1);
        patiently(answer(99, Err(CallError::Closed))).await.expect_err("never");
        assert_eq!(asked.get(), MOST_QUESTIONS);
    }

    #[test]
    fn packers_run_is_known_behind_every_post_processor() {
        let said = |name: &str| (name == "PACKER_RUN_UUID").then(|| "of-packer".to_owned());
        assert_eq!(packer_run_uuid(&GeneratedData::default(), said), "of-packer");
        let generated = GeneratedData { packer_run_uuid: Some("of-builder".to_owned()), ..GeneratedData::default() };
        assert_eq!(packer_run_uuid(&generated, said), "of-packer");
        assert_eq!(packer_run_uuid(&generated, |_| None), "of-builder");
        assert_eq!(packer_run_uuid(&generated, |_| Some(String::new())), "of-builder");
    }
}
