//! `assay validate`: which AMIs, and how to test them.

use crate::manager;
use std::{collections::BTreeSet, path::Path};

use clap::{ArgGroup, Args};

use super::{
    args::GlobalOptions,
    dispatch,
    live::{self, OnInterrupt},
    option_flags::{OptionFlags, problem},
    output,
    prober_flags::ProberFlags,
    results,
    shard::{self, ShardChoice},
};
use crate::test_run::{self as run, EventSender, EvidenceSigner};
use assay_config::{
    CheckInput, ConfigProblem, EntryPoint, OptionLayer, ValuePlace, check, options,
    request::{SignAs, TargetChoice, ValidateRequest},
    suites,
};
use assay_model::{AmiRef, ImageName, ImageState, Manifest, ManifestBuild, Region, RunId, exit::ExitStatus};
use assay_signing::{SignWith, SigningKey};

/// Boot AMIs, run suites on them, tag them and write manifest and reports
///
/// What is not given here comes from assay.hcl.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("targets").required(true).args(["amis", "from_manifest", "state", "candidate"]))]
pub struct ValidateArgs {
    /// These AMIs, e.g. us-east-1:ami-0abcdef1234567890; also as Packer's artifact id, joined by commas
    #[arg(long = "ami", id = "amis", value_name = "REGION:AMI", num_args = 1.., value_delimiter = ',')]
    amis: Vec<AmiRef>,
    /// The AMIs of the last run in this manifest (assay's or Packer's own)
    #[arg(long = "manifest", id = "from_manifest", value_name = "FILE")]
    from_manifest: Option<std::path::PathBuf>,
    /// The AMIs of --image in this state, by their tags
    #[arg(long, requires = "image")]
    state: Option<ImageState>,
    /// The AMIs of --image's candidate file in the commit that is checked out: of this run, else of the newest that was made from the inputs as they
    /// are; with the suites of candidate and gold, unless --suite names others. Nothing is tagged
    #[arg(long, requires = "image", value_name = "RUN", num_args = 0..=1)]
    candidate: Option<Option<RunId>>,
    /// Sign evidence.json: with a private key file (OpenSSH's, without passphrase), or with kms:KEY, a key id, ARN or alias/NAME of an
    /// ECC_NIST_P256 key; needs a report_dir
    #[arg(long, value_name = "FILE|kms:KEY")]
    sign_with: Option<SignWith>,
    /// Where to look with --state, and the region for STS calls; default: assay.hcl's, else AWS_REGION
    #[arg(long = "region", value_name = "REGION", num_args = 1..)]
    regions: Vec<Region>,
    /// Do not tag the AMIs and their snapshots
    #[arg(long)]
    no_stamp: bool,
    /// Only this share of the AMIs, like 2/4; auto: by CIRCLE_NODE_INDEX and CIRCLE_NODE_TOTAL, which say it in a CircleCI job of several containers.
    /// A share that holds nothing ends with 6
    #[arg(long, value_name = "I/N|auto")]
    shard: Option<ShardChoice>,
    #[command(flatten)]
    options: OptionFlags,
    #[command(flatten)]
    prober: ProberFlags,
}

/// Checks the flags together with assay.hcl. Fails with every mistake.
pub fn plan(args: &ValidateArgs, globals: &GlobalOptions) -> Result<ValidateRequest, Vec<ConfigProblem>> {
    plan_in(args, globals, &dispatch::working_dir()?, suites::load, &|name| std::env::var(name).ok())
}

/// [`plan`] with the world given.
pub(super) fn plan_in(
    args: &ValidateArgs,
    globals: &GlobalOptions,
    working_dir: &Path,
    load_suites: suites::SuiteLoader,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ValidateRequest, Vec<ConfigProblem>> {
    let given = args.options.given();
    let mut problems = given.problems.clone();
    let mut flags = given.layer.clone();
    args.prober.give(&mut flags, &mut problems);
    let builds = args.from_manifest.as_deref().map(|path| builds(&working_dir.join(path), path, &flags));
    let builds = builds.transpose().unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    if let (Some((Some(image), _)), false) = (&builds, flags.has("image")) {
        give(&mut flags, "image", image.as_str(), "--manifest", &mut problems);
    }
    if let Some(region) = args.regions.first() {
        give(&mut flags, "region", region.as_str(), "--region", &mut problems);
    }
    let image_named = flags.has("image");
    let gold = args.candidate.is_some();
    let input = CheckInput {
        flags,
        config_file: globals.config.clone(),
        load_suites,
        bounds: globals.suite_bounds(),
        gold,
        ..CheckInput::new(EntryPoint::Command, working_dir)
    };
    let checked = check(&input);
    problems.extend(checked.errors);
    let image = checked.settings.as_ref().and_then(|settings| settings.image.clone());
    let builds = builds.map(|(_, builds)| builds);
    let outputs = globals.outputs().map_err(|wrong| problems.push(wrong)).unwrap_or_default();
    // What --state finds changes while other containers stamp: an AMI could fall out of every share.
    let shard = match (args.state, args.shard) {
        (Some(_), Some(_)) => {
            problems.push(problem("--shard", "cannot divide what --state finds, since that changes while others test; name the AMIs with --ami or --manifest"));
            None
        }
        (Some(_), None) => None,
        (None, _) => shard::asked(args.shard, environment).map_err(|wrong| problems.push(wrong)).unwrap_or_default(),
    };
    let report_dir = checked.settings.as_ref().map(|settings| settings.report_dir.is_some());
    let sign = args.sign_with.as_ref().and_then(|with| signing_key(with, report_dir, working_dir, &mut problems));
    let targets = targets(args, builds, image, checked.access.region, environment, &mut problems);
    match (checked.settings, targets) {
        (Some(settings), Some(targets)) if problems.is_empty() => {
            let stamp = !args.no_stamp && args.candidate.is_none();
            Ok(ValidateRequest { targets, image_named, settings, stamp, shard, sign, outputs })
        }
        _ => Err(problems),
    }
}

/// What a first interrupt does.
const ON_INTERRUPT: OnInterrupt = OnInterrupt::Cancel("cancelled; cleaning up what was started");

/// Boots, tests, stamps; prints what was found.
pub fn execute(request: ValidateRequest) -> ExitStatus {
    let outputs = request.outputs.clone();
    live::run(outputs.stdout, ON_INTERRUPT, async move |events, cancel| {
        let request = match resolved(request, &events).await {
            Ok(request) => request,
            Err(exit) => return exit,
        };
        let finished = run::validate(request, events, cancel).await;
        results::shown(finished, &outputs)
    })
}

/// The conductor's request; the AMIs of a state are looked up in the cloud.
async fn resolved(request: ValidateRequest, events: &EventSender) -> Result<run::RunRequest, ExitStatus> {
    let mut candidate = None;
    let (amis, builds) = match request.targets {
        TargetChoice::Candidate { image, run } => {
            let found = manager::candidate(&request.settings, &image, run, events).await.map_err(|error| {
                output::chain(&error);
                error.exit()
            })?;
            let amis = found.amis.iter().map(|ami| ami.record.ami.clone()).collect();
            candidate = Some(found);
            (amis, Vec::new())
        }
        TargetChoice::Amis(amis) => (amis, Vec::new()),
        TargetChoice::Manifest { builds, amis, .. } => (amis, builds.iter().map(packer_build).collect()),
        TargetChoice::State { image, state, regions } => {
            let found = run::find(&request.settings.access, &image, state, &regions).await.map_err(|error| {
                output::chain(&error);
                ExitStatus::Undecided
            })?;
            if found.is_empty() {
                let places: Vec<&str> = regions.iter().map(Region::as_str).collect();
                output::error(&format!("no AMI of image {image} is in state {state} in {}", places.join(", ")));
                return Err(ExitStatus::Nothing);
            }
            (found, Vec::new())
        }
    };
    let (amis, shard) = match request.shard {
        Some(shard) => {
            let (mine, record) = shard::divide(shard, &amis, ToString::to_string);
            (mine, Some(record))
        }
        None => (amis, None),
    };
    if amis.is_empty() {
        return Err(ExitStatus::Nothing);
    }
    let signer = match &request.sign {
        Some(key) => Some(EvidenceSigner::ready(key, &request.settings.access, &amis).await.map_err(|why| {
            output::error(&why);
            ExitStatus::Undecided
        })?),
        None => None,
    };
    Ok(run::RunRequest {
        run: RunId::generate(),
        amis,
        settings: request.settings,
        image_assumed: !request.image_named,
        builds,
        parent: None,
        protect: false,
        own_only: false,
        stamp: request.stamp,
        shard,
        candidate,
        signer,
        began: None,
    })
}

/// The key that signs, read now: one that cannot be used must not cost an instance. `report_dir`: whether there is a folder for reports, where that is
/// known.
fn signing_key(
    with: &SignWith,
    report_dir: Option<bool>,
    working_dir: &Path,
    problems: &mut Vec<ConfigProblem>,
) -> Option<SignAs> {
    if report_dir == Some(false) {
        problems.push(problem(
            "--sign-with",
            "needs a folder for the evidence; give --report-dir, or report_dir in assay.hcl",
        ));
    }
    match with {
        SignWith::Kms(key) => Some(SignAs::Kms(key.clone())),
        SignWith::File(path) => {
            let key = SigningKey::read(&working_dir.join(path));
            key.map(SignAs::Key).map_err(|error| problems.push(problem("--sign-with", error.to_string()))).ok()
        }
    }
}

fn packer_build(build: &ManifestBuild) -> run::PackerBuild {
    run::PackerBuild {
        name: build.name.clone(),
        builder_type: build.builder_type.clone(),
        artifact_id: build.artifact_id.clone(),
        run_uuid: build.packer_run_uuid.clone(),
        force: false,
    }
}

fn give(flags: &mut OptionLayer, name: &str, value: &str, shown: &str, problems: &mut Vec<ConfigProblem>) {
    let option = options::find(name).expect("the option is declared");
    flags.give(option, &value.into(), ValuePlace::Flag, shown.to_owned(), problems);
}

fn targets(
    args: &ValidateArgs,
    builds: Option<Vec<ManifestBuild>>,
    image: Option<ImageName>,
    region: Option<Region>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<ConfigProblem>,
) -> Option<TargetChoice> {
    if let (Some(path), Some(builds)) = (&args.from_manifest, builds) {
        let amis = artifacts(&builds).map_err(|message| problems.push(problem("--manifest", message))).ok()?;
        return Some(TargetChoice::Manifest { path: path.clone(), builds, amis });
    }
    if let Some(run) = args.candidate {
        return image.map(|image| TargetChoice::Candidate { image, run });
    }
    if let Some(state) = args.state {
        let regions = regions(args, region, environment, problems);
        return image.filter(|_| !regions.is_empty()).map(|image| TargetChoice::State { image, state, regions });
    }
    let amis: BTreeSet<&AmiRef> = args.amis.iter().collect();
    if amis.len() < args.amis.len() {
        problems.push(problem("--ami", "names an AMI twice"));
    }
    (!amis.is_empty()).then(|| TargetChoice::Amis(args.amis.clone()))
}

/// Where to look for AMIs by their tags.
fn regions(
    args: &ValidateArgs,
    configured: Option<Region>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<ConfigProblem>,
) -> Vec<Region> {
    if !args.regions.is_empty() {
        return args.regions.clone();
    }
    if let Some(region) = configured {
        return vec![region];
    }
    // The SDK's own order.
    let named = environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION")).filter(|name| !name.is_empty());
    match named.map(|name| name.parse::<Region>()) {
        Some(Ok(region)) => vec![region],
        Some(Err(error)) => {
            problems.push(problem("AWS_REGION", error.to_string()));
            Vec::new()
        }
        None => {
            problems.push(problem("--region", "is missing; with --state it says where to look"));
            Vec::new()
        }
    }
}

/// The builds of a manifest's last run, all of one image, which Packer's own entries do not name. `path` is the file on disk, `shown` as it was typed.
fn builds(
    path: &Path,
    shown: &Path,
    flags: &OptionLayer,
) -> Result<(Option<ImageName>, Vec<ManifestBuild>), ConfigProblem> {
    let wrong = |message: String| problem("--manifest", format!("{}: {message}", shown.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("is no manifest of Packer's or assay's: {error}")))?;
    let named = flags.given.get("image").and_then(|image| image.value.as_str());
    let last = &manifest.last_run_uuid;
    let builds: Vec<ManifestBuild> =
        manifest.builds.into_iter().filter(|build| last.is_empty() || build.packer_run_uuid == *last).collect();
    let image_of = |build: &ManifestBuild| build.assay.as_ref().map(|stamped| stamped.image.clone());
    let builds: Vec<ManifestBuild> = match named {
        Some(named) => builds.into_iter().filter(|b| image_of(b).is_none_or(|image| image.as_str() == named)).collect(),
        None => builds,
    };
    let images: BTreeSet<Option<ImageName>> = builds.iter().map(image_of).collect();
    if images.len() > 1 && named.is_none() {
        return Err(wrong("its last run built several images; say which with --image".to_owned()));
    }
    let Some(image) = images.into_iter().next() else {
        return Err(wrong(match named {
            Some(named) => format!("its last run holds no build of image {named:?}"),
            None => "its last run holds no build".to_owned(),
        }));
    };
    Ok((image, builds))
}

fn artifacts(builds: &[ManifestBuild]) -> Result<Vec<AmiRef>, String> {
    let mut amis = BTreeSet::new();
    for build in builds {
        let built = assay_model::BuiltArtifact::parse("", &build.artifact_id)
            .map_err(|error| format!("build {:?}: {error}", build.name))?;
        amis.extend(built.amis);
    }
    Ok(amis.into_iter().collect())
}
