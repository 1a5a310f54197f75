//! From a built AMI to gold with the real program: validated by booting it, promoted over a bare remote, in three regions and for a second account.

use std::{
    cell::RefCell,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    build::{LIGHT, LIGHT_SUITE},
    permissions,
    support::{
        cloud::Cloud,
        http,
        packer::Workshop,
        repository::{Repository, git_environment},
        tools,
    },
};

const CONFIG: &str = r#"owner = "acme"
image "base" {
  inputs     = ["packer/**", "light.hcl", "full.hcl"]
  report_dir = "build/reports"
  suites {
    candidate = ["light.hcl"]
    gold      = ["full.hcl"]
  }
  ssh {
    username = "debian"
  }
  distribution {
    ami_regions   = ["eu-west-1", "us-west-2"]
    ami_users     = ["@OTHER@"]
    ssm_parameter = "/images/base/{architecture}"
  }
  projection "infra/base.auto.tfvars" {
    variable = "base_ami"
  }
}
"#;
const TFVARS: &str = "# Who uses base.\nregion   = \"us-east-1\"\nbase_ami = {}  # written by assay\n";
const FULL: &str = "suite \"full\" {\n  file \"/etc/hostname\" {\n    exists = true\n  }\n}\n";
const REGIONS: [&str; 3] = ["us-east-1", "eu-west-1", "us-west-2"];

/// A repository whose main holds templates and rules, and a cloud.
struct Scene {
    cloud: Cloud,
    workshop: Workshop,
    repository: Repository,
    /// What the promoter's commands asked of the cloud, in order.
    promoter_calls: RefCell<Vec<Value>>,
}

/// The commands that the promoter's job runs.
const PROMOTER_COMMANDS: [&str; 3] = ["promote", "rollback", "revoke"];

fn scene() -> Scene {
    let cloud = Cloud::start();
    let mut workshop = Workshop::new(&cloud);
    workshop.write("assay.hcl", &CONFIG.replace("@OTHER@", cloud.account("other")));
    workshop.write("light.hcl", LIGHT_SUITE);
    workshop.write("full.hcl", FULL);
    workshop.write("infra/base.auto.tfvars", TFVARS);
    let repository = Repository::publish(workshop.path(), &cloud.path("remote.git"));
    for (key, value) in git_environment(workshop.path()) {
        workshop.set(&key, &value);
    }
    Scene { cloud, workshop, repository, promoter_calls: RefCell::default() }
}

impl Scene {
    /// A pull request: an AMI is made on a branch, smoke-tested, committed and merged. Returns (AMI, run).
    fn merged(&mut self, name: &str) -> (String, String) {
        let branch = format!("topic-{name}");
        self.repository.git(&["switch", "-q", "-c", &branch]);
        self.workshop.set("CIRCLE_BRANCH", &branch);
        self.workshop.set("CIRCLE_WORKFLOW_ID", &format!("pull-request-{name}"));
        let ami = self.cloud.own_image("light", "us-east-1", name);
        self.workshop.build_surrogate(&format!("us-east-1:{ami}"), LIGHT).expect(0);
        self.good(&["commit", "--manifest", "build/manifest.json", "--branch", &branch]);
        let manifest: Value = serde_json::from_str(&self.workshop.read("build/manifest.json")).expect("JSON");
        let run = manifest["builds"].as_array().expect("builds").last().expect("a build")["assay"]["run"].clone();
        self.repository.git(&["fetch", "-q", "origin"]);
        self.main();
        self.repository.git(&["merge", "-q", "--no-ff", "-m", "a pull request", &format!("origin/{branch}")]);
        self.repository.git(&["push", "-q", "origin", "main"]);
        (ami, run.as_str().expect("a run").to_owned())
    }

    /// The work tree on the newest main.
    fn main(&self) {
        self.repository.git(&["fetch", "-q", "origin"]);
        self.repository.git(&["switch", "-q", "main"]);
        self.repository.git(&["reset", "-q", "--hard", "origin/main"]);
    }

    /// The pipeline of main: the candidate is booted and vetted.
    fn vetted(&mut self) {
        self.workshop.set("CIRCLE_BRANCH", "main");
        self.workshop.set("CIRCLE_WORKFLOW_ID", "main-1");
        self.workshop.set("CIRCLE_BUILD_URL", "https://ci.example/promote/1");
        self.good(&["validate", "--image", "base", "--candidate"]);
        self.good(&["promote", "--image", "base", "--to", "vetted", "--evidence", "build/reports/evidence.json"]);
    }

    fn good(&self, arguments: &[&str]) -> Output {
        let before = self.cloud.calls().len();
        let output = self.workshop.assay(arguments);
        if PROMOTER_COMMANDS.contains(&arguments[0]) {
            self.promoter_calls.borrow_mut().extend(self.cloud.calls().split_off(before));
        }
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {:?}\n{text}", output.status.code());
        output
    }

    fn refused(&self, arguments: &[&str], code: i32) -> String {
        let output = self.workshop.assay(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}:\n{text}");
        text
    }

    fn lock(&self) -> String {
        self.repository.remote(&["show", "main:images/base.lock.hcl"])
    }

    /// The AMIs of a run in one region, as the cloud tells.
    fn amis(&self, run: &str, region: &str) -> Vec<Value> {
        let all = self.cloud.inventory();
        let images = all["images"].as_array().expect("images").clone();
        images.into_iter().filter(|i| i["region"] == region && i["tags"]["assay:run"] == run).collect()
    }

    /// Every region has exactly one AMI of the run, tagged so, and nothing else is gold.
    fn assert_gold(&self, run: &str) {
        assert!(self.lock().contains(&format!("gold = \"{run}\"")), "{}", self.lock());
        for region in REGIONS {
            let amis = self.amis(run, region);
            assert_eq!(amis.len(), 1, "{region}: {amis:?}");
            let (ami, id) = (&amis[0], amis[0]["id"].as_str().expect("an id"));
            assert_eq!(ami["tags"]["assay:state"], "gold", "{ami}");
            assert_eq!(ami["protected"], true, "{ami}");
            let permissions = ami["launch_permissions"].to_string();
            assert!(permissions.contains(self.cloud.account("other")), "{region}: {permissions}");
            let snapshot = &ami["snapshots"][0];
            let all = self.cloud.inventory();
            let snapshots = all["snapshots"].as_array().expect("snapshots");
            let snapshot = snapshots.iter().find(|s| s["id"] == *snapshot).expect("a snapshot");
            assert_eq!(snapshot["tags"]["assay:state"], "gold", "{snapshot}");
            assert_eq!(self.parameter(region), id, "the pointer of {region}");
            assert!(self.lock().contains(id), "{id} is in the lock");
        }
        let all = self.cloud.inventory();
        let gold = |i: &&Value| i["tags"]["assay:state"] == "gold" && i["tags"]["assay:run"] != run;
        let others: Vec<_> = all["images"].as_array().expect("images").iter().filter(gold).collect();
        assert!(others.is_empty(), "{others:?}");
    }

    /// What SSM says, by AWS's own library.
    fn parameter(&self, region: &str) -> String {
        let program = format!(
            "import boto3; print(boto3.client('ssm', region_name='{region}').get_parameter(Name='/images/base/x86_64')['Parameter']['Value'])"
        );
        self.python(&program)
    }

    /// What a program says that uses AWS's own library. Outside of the workshop's environment: there HOME is another, and with it the mini cloud's cache.
    fn python(&self, program: &str) -> String {
        let mut command = Command::new(tools::mini_cloud());
        command.args(["python", "-c", program]).envs(self.cloud.environment("main")).stdin(Stdio::null());
        let output = command.output().expect("the mini cloud's Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `assay promote --to gold`, left running.
    fn promoting(&self) -> Child {
        let mut command = self.workshop.command(&tools::assay());
        command.args(["promote", "--image", "base", "--to", "gold"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("assay starts")
    }
}

#[test]
fn from_a_built_ami_to_gold_in_three_regions_and_back() {
    let mut scene = scene();
    let (first_ami, first) = scene.merged("one");
    let gold = ["promote", "--image", "base", "--to", "gold"];
    scene.workshop.set("CIRCLE_BRANCH", "main");
    let words = scene.refused(&gold, 6);
    assert!(words.contains("nothing is vetted, and nothing is gold"), "{words}");
    scene.vetted();
    assert_eq!(scene.cloud.image(&first_ami)["tags"]["assay:state"], "vetted");
    scene.good(&gold);
    scene.assert_gold(&first);
    let tfvars = scene.repository.remote(&["show", "main:infra/base.auto.tfvars"]);
    assert!(tfvars.starts_with("# Who uses base.\nregion   = \"us-east-1\"\n"), "{tfvars}");
    for region in REGIONS {
        assert!(tfvars.contains(scene.amis(&first, region)[0]["id"].as_str().expect("an id")), "{tfvars}");
    }
    let tags = scene.repository.remote(&["for-each-ref", "--format=%(objecttype) %(refname:short)", "refs/tags"]);
    assert!(tags.lines().any(|line| line.starts_with("tag base/gold/")), "{tags}");
    let tip = scene.repository.remote(&["rev-parse", "main"]);
    let again = scene.good(&gold);
    assert!(String::from_utf8_lossy(&again.stdout).contains("is gold already"));
    assert_eq!(scene.repository.remote(&["rev-parse", "main"]), tip);

    scene.main();
    scene.workshop.write("packer/policy/more.sh", "#!/bin/sh\ntrue\n");
    scene.repository.git(&["add", "-A", "packer"]);
    scene.repository.git(&["commit", "-q", "-m", "more policy"]);
    scene.repository.git(&["push", "-q", "origin", "main"]);
    let (_, second) = scene.merged("two");
    scene.vetted();
    scene.good(&gold);
    scene.assert_gold(&second);
    assert_eq!(scene.cloud.image(&first_ami)["tags"]["assay:state"], "retired");
    assert_eq!(scene.cloud.image(&first_ami)["protected"], false);

    scene.good(&["rollback", "--image", "base", "--reason", "the new kernel hangs"]);
    scene.assert_gold(&first);
    scene.good(&["revoke", "--image", "base", "--run", &second, "--reason", "the new kernel hangs"]);
    for region in REGIONS {
        let ami = &scene.amis(&second, region)[0];
        assert_eq!(ami["tags"]["assay:state"], "revoked");
        assert_ne!(ami["deprecation_time"], Value::Null, "{ami}");
        assert!(!ami["launch_permissions"].to_string().contains(scene.cloud.account("other")), "{ami}");
    }
    scene.cloud.wait_until_clean(10);
    let calls = scene.promoter_calls.borrow();
    for action in ["CopyImage", "CreateTags", "ModifyImageAttribute", "PutParameter", "EnableImageDeprecation"] {
        assert!(calls.iter().any(|call| call["action"] == action), "the promoter never called {action}");
    }
    assert_eq!(permissions::denied(scene.workshop.path(), "promoter", &calls), Vec::<String>::new());
}

/// Both have read the same lock, with no gold in it, before either has copied anything; then tags are slow for both.
#[test]
fn of_two_promoters_at_once_one_is_refused_and_gold_is_one() {
    let mut scene = scene();
    let (_, first) = scene.merged("one");
    scene.vetted();
    scene.main();
    let (_, second) = scene.merged("two");
    scene.vetted();
    let folders = ["first", "second"].map(|name| scene.cloud.path(name));
    let remote = scene.cloud.path("remote.git");
    for folder in &folders {
        let [from, to] = [&remote, folder].map(|path| path.to_str().expect("UTF-8"));
        scene.repository.git(&["clone", "-q", "-b", "main", from, to]);
    }
    scene.cloud.faults(json!([
        { "action": "CopyImage", "kind": "delay", "seconds": 5, "times": 4 },
        { "action": "CreateTags", "kind": "delay", "seconds": 1, "times": 12 },
    ]));
    let promoters = [&first, &second].into_iter().zip(&folders).map(|(run, folder)| {
        let mut command = scene.workshop.command(&tools::assay());
        command.args(["promote", "--image", "base", "--to", "gold", "--run", run]).current_dir(folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("assay starts")
    });
    let promoters: Vec<Child> = promoters.collect();
    let ended: Vec<Output> = promoters.into_iter().map(|child| child.wait_with_output().expect("an end")).collect();
    let words = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let won = ended.iter().position(|output| output.status.success());
    let won = won.unwrap_or_else(|| panic!("none won: {:?}", ended.iter().map(words).collect::<Vec<_>>()));
    let refused = &ended[1 - won];
    assert_eq!(refused.status.code(), Some(5), "{}", words(refused));
    scene.assert_gold([&first, &second][won]);
    let verified = scene.good(&["verify", "--tags"]);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("all is right"));
}

#[test]
fn a_promoter_that_is_killed_at_any_call_is_continued_by_the_next() {
    let mut scene = scene();
    let (_, run) = scene.merged("killed");
    scene.vetted();
    let faults = |scene: &Scene| http::request(scene.cloud.endpoint(), "GET", "/_minicloud/faults", None);
    // Regions are worked on side by side: each call is held in all of them, so that the next kind of call is still due afterwards. Pointers come one by one.
    for (action, most) in [
        ("CopyImage", 2),
        ("CreateTags", 3),
        ("EnableImageDeregistrationProtection", 3),
        ("ModifySnapshotAttribute", 3),
        ("ModifyImageAttribute", 3),
        ("PutParameter", 1),
        ("PutParameter", 1),
        ("PutParameter", 1),
    ] {
        let before = scene.cloud.calls().len();
        scene.cloud.faults(json!([{ "action": action, "kind": "delay", "seconds": 2, "times": most }]));
        let hits = |scene: &Scene| most - faults(scene)[0]["times"].as_u64().expect("a number");
        let mut child = scene.promoting();
        let deadline = Instant::now() + Duration::from_secs(120);
        while hits(&scene) == 0 {
            let ended = child.try_wait().expect("a status");
            assert!(ended.is_none(), "{action} was not called: {ended:?}");
            assert!(Instant::now() < deadline, "{action} was not called");
            std::thread::sleep(Duration::from_millis(20));
        }
        // SIGKILL: nothing of it can clean up. The cloud still does what it was asked.
        child.kill().expect("killed");
        child.wait().expect("ended");
        let hits = hits(&scene);
        http::request(scene.cloud.endpoint(), "DELETE", "/_minicloud/faults", None);
        let held = |call: &&Value| call["fault"] == "delay";
        while (scene.cloud.calls()[before..].iter().filter(held).count() as u64) < hits {
            assert!(Instant::now() < deadline, "{action} was not done");
            std::thread::sleep(Duration::from_millis(50));
        }
        let all = scene.cloud.inventory();
        for image in all["images"].as_array().expect("images") {
            let gold = image["tags"]["assay:state"] == "gold";
            assert!(
                !gold || scene.lock().contains(&format!("gold = \"{run}\"")),
                "gold before the lock says so: {image}"
            );
        }
    }
    scene.good(&["promote", "--image", "base", "--to", "gold"]);
    scene.assert_gold(&run);
}

#[test]
fn what_a_pull_request_could_forge_promotes_nothing() {
    let mut scene = scene();
    let (ami, run) = scene.merged("forged");
    scene.workshop.set("CIRCLE_BRANCH", "main");
    scene.workshop.set("CIRCLE_WORKFLOW_ID", "main-1");
    let tip = scene.repository.remote(&["rev-parse", "main"]);
    let vet = |file: &'static str| ["promote", "--image", "base", "--to", "vetted", "--evidence", file];
    // The smoke evidence that the pull request's own job committed.
    let smoke = format!("images/evidence/base/{run}.json");
    let words = scene.refused(&["promote", "--image", "base", "--to", "vetted", "--evidence", &smoke], 5);
    assert!(words.contains("is tracked in git and not signed"), "{words}");
    assert!(words.contains("did not run the suite full.hcl"), "{words}");
    // A good validation, of another pipeline.
    scene.workshop.set("CIRCLE_WORKFLOW_ID", "somewhere-else");
    scene.good(&["validate", "--image", "base", "--candidate"]);
    scene.workshop.set("CIRCLE_WORKFLOW_ID", "main-1");
    let words = scene.refused(&vet("build/reports/evidence.json"), 5);
    assert!(words.contains("was made by another workflow (somewhere-else)"), "{words}");
    // The builder, or the template's own tags, say gold.
    scene.good(&["validate", "--image", "base", "--candidate"]);
    let program = format!(
        "import boto3; boto3.client('ec2', region_name='us-east-1').create_tags(Resources=['{ami}'], Tags=[{{'Key': 'assay:state', 'Value': 'gold'}}])"
    );
    scene.python(&program);
    let words = scene.refused(&vet("build/reports/evidence.json"), 5);
    assert!(words.contains("its tag assay:state says gold, which only the lock can"), "{words}");
    assert_eq!(scene.repository.remote(&["rev-parse", "main"]), tip, "nothing was written");
}
