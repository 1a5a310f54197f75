//! A complete file keeps everything; a file of mistakes gives one message for each, with its line.

use std::path::Path;

use super::*;
use crate::problem::ConfigProblem;

fn parse_text(text: &str) -> (Option<ConfigFile>, String) {
    let mut problems: Vec<ConfigProblem> = Vec::new();
    let file = parse(Path::new("/repo/assay.hcl"), Path::new("assay.hcl"), text, &mut problems);
    (file, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_complete_file_is_kept_whole() {
    let (file, problems) = parse_text(
        r#"
# Images of the platform team.
owner = "github.com/acme/images"

access {
  region = "eu-west-1"
  assume_role {
    role_arn = "arn:aws:iam::123456789012:role/tester"
  }
}

image "base" {
  inputs  = ["packer/**", "policy"]
  max_age = "30d"
  tags    = { Team = "platform", "cost:centre" = 42 }

  suites {
    candidate = ["suites/smoke.hcl"]
    gold      = ["suites/full.hcl", "goss.yaml"]
  }
  ssh {
    username = "debian"
    port     = 22
  }
  launch {
    instance_type = "t3.small"
    user_data     = <<-EOT
      #cloud-config
        nested: true
    EOT
  }
  retention {
    keep_releases = 5
    keep_days     = 30
  }
  projection "infra/base.auto.tfvars" {
    variable = "base_ami"
  }
}

image "app" {
  parent = "base"
}
"#,
    );
    assert_eq!(problems, "");
    let file = file.expect("a file");
    assert_eq!(file.folder, Path::new("/repo"));
    assert_eq!(file.options.given["owner"].value, "github.com/acme/images");
    assert_eq!(file.options.given["assume_role"].value["role_arn"], "arn:aws:iam::123456789012:role/tester");
    let base = &file.images[0];
    assert_eq!(base.max_age.expect("max_age").as_secs(), 30 * 86_400);
    assert_eq!(base.gold_suites, [Path::new("suites/full.hcl"), Path::new("goss.yaml")]);
    assert_eq!(
        base.retention,
        RetentionDecl { all: KeepRule { keep_releases: Some(5), keep_days: Some(30) }, ..RetentionDecl::default() }
    );
    assert_eq!(base.projections[0].variable, "base_ami");
    assert_eq!(base.options.given["tags"].value["cost:centre"], "42");
    assert_eq!(base.options.given["ssh_username"].shown, "ssh.username");
    assert_eq!(base.options.given["user_data"].value, "#cloud-config\n  nested: true\n");
    assert_eq!(base.line, 12);
    assert_eq!(file.images[1].parent.as_ref().expect("parent").as_str(), "base");
}

#[test]
fn every_mistake_is_named_with_its_line() {
    let (_, problems) = parse_text(
        r#"ownr = "acme"
access {
  regoin     = "eu-west-1"
  secret_key = "s3cret"
  assume_role = { role_arn = "x" }
}
image "base" {
  input = ["packer"]
  ssh_username = "debian"
  suites {
    candidates = ["smoke.hcl"]
    gold = "full.hcl"
  }
  ssh {
    prot = 22
    private_key_file = "id"
    username = ["debian"]
    bastion_host = "jump"
  }
  launch "x" {
    instance_type = var.type
    ttl = "${1}h"
    subnet_filter {
      random = true
    }
    user_data = file("x")
    iam_instance_profile {
    }
  }
  ssh {
    port = 23
  }
  retention {
    keep = 3
    keep_days = "many"
  }
  max_age = "old"
  parent  = "base"
  projection "../infra.tfvars" {
    variabel = "x"
  }
  config = "other.hcl"
}
image "base" {
}
image "Base" {
}
image {
}
"#,
    );
    assert!(!problems.contains("s3cret"), "a secret was shown");
    insta::assert_snapshot!(problems);
}

#[test]
fn broken_hcl_names_line_and_column() {
    for (text, line) in [("image \"base\" {\n  x = \n}\n", 2), ("owner = \"a\"\nowner = \"b\"\n", 2), ("}", 1)] {
        let (file, problems) = parse_text(text);
        assert!(file.is_none());
        assert!(problems.starts_with(&format!("assay.hcl:{line}: no valid HCL at column ")), "{problems}");
    }
}

#[test]
fn a_file_nested_without_end_is_refused_not_followed() {
    let text = format!("owner = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let (file, problems) = parse_text(&text);
    assert!(file.is_none());
    assert!(problems.contains("nested levels"), "{problems}");
}

#[test]
fn the_nearest_file_above_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let deep = folder.path().join("a/b");
    std::fs::create_dir_all(&deep).expect("made");
    assert_eq!(find(&deep), None, "unless the temporary folder itself lies below an assay.hcl");
    std::fs::write(folder.path().join("assay.hcl"), "").expect("written");
    assert_eq!(find(&deep), Some(folder.path().join("assay.hcl")));
    std::fs::write(folder.path().join("a/assay.hcl"), "").expect("written");
    assert_eq!(find(&deep), Some(folder.path().join("a/assay.hcl")));
}

#[test]
fn what_the_image_manager_asks_is_read() {
    let (file, problems) = parse_text(
        r#"git {
  branch = "trunk"
  remote = "upstream"
}
promotion {
  evidence_max_age        = "2h"
  allowed_signers         = "images/allowed_signers"
  require_signature       = true
  require_pinned_host_key = false
}
image "base" {
  regions       = ["us-east-1", "eu-west-1"]
  architectures = ["x86_64", "arm64"]
  build {
    template  = "packer/base.pkr.hcl"
    only      = ["amazon-ebs.*"]
    var_files = ["packer/ci.pkrvars.hcl"]
    variables = { region = "us-east-1" }
  }
  distribution {
    ami_regions   = ["eu-central-1"]
    ami_users     = ["210987654321"]
    ami_org_arns  = ["arn:aws:organizations::123456789012:organization/o-abcde12345"]
    ssm_parameter = "/images/base/{architecture}"
  }
  retention {
    keep_days = 30
    state "rejected" {
      keep_days     = 7
      keep_releases = 1
    }
  }
  projection "infra/base.json" {
    variable     = "base_ami"
    region       = "us-east-1"
    architecture = "arm64"
  }
}
"#,
    );
    assert_eq!(problems, "");
    let file = file.expect("a file");
    assert_eq!((file.git.branch.as_str(), file.git.remote.as_deref()), ("trunk", Some("upstream")));
    assert_eq!(file.promotion.evidence_max_age.as_secs(), 7200);
    assert!(file.promotion.require_signature && !file.promotion.require_pinned_host_key);
    let base = &file.images[0];
    assert_eq!((base.regions.len(), base.architectures.len()), (2, 2));
    assert_eq!(base.build.as_ref().expect("build").variables["region"], "us-east-1");
    assert_eq!(base.distribution.ami_users[0].as_str(), "210987654321");
    let rejected = base.retention.of(assay_model::ImageState::Rejected);
    assert_eq!((rejected.keep_days, rejected.keep_releases), (Some(7), Some(1)));
    assert_eq!(base.retention.of(assay_model::ImageState::Candidate).keep_days, Some(30));
    assert_eq!(base.projections[0].architecture.map(|a| a.as_str()), Some("arm64"));
}

#[test]
fn paths_are_kept_as_git_writes_them() {
    let (file, problems) = parse_text(
        r#"promotion {
  allowed_signers = "./images//allowed_signers"
}
image "base" {
  build {
    template = "."
  }
  projection "./infra/./x//y.tfvars" {
    variable = "base_ami"
  }
}
"#,
    );
    assert_eq!(problems, "");
    let file = file.expect("a file");
    // `Path` itself calls both forms equal.
    let text = |path: &Path| path.display().to_string();
    assert_eq!(text(&file.images[0].projections[0].path), "infra/x/y.tfvars");
    assert_eq!(text(&file.promotion.allowed_signers.expect("a file")), "images/allowed_signers");
    assert_eq!(text(&file.images[0].build.as_ref().expect("a build").template), ".");
    for path in ["./", "."] {
        let (_, problems) =
            parse_text(&format!("image \"base\" {{\n  projection \"{path}\" {{\n variable = \"x\"\n  }}\n}}\n"));
        assert_eq!(problems, format!("assay.hcl:2: projection \"{path}\": names a folder; name the file in it"));
    }
}

#[test]
fn mistakes_in_what_the_image_manager_asks() {
    let (_, problems) = parse_text(
        r#"git {
  branch = "-f"
}
promotion {
  evidence_max_age  = "soon"
  allowed_signers   = "../signers"
  require_signature = "yes"
}
image "base" {
  regions = ["us-east-1", "us-east-1", "Mars"]
  build {
    only = "amazon-ebs.*"
  }
  distribution {
    ami_users     = ["me"]
    ami_org_arns  = ["o-abcde12345"]
    ssm_parameter = "/images/{arch}"
    ami_groups    = ["all"]
  }
  retention {
    state "gold" {
      keep_days = 1
    }
    state "rejectd" {
    }
  }
}
"#,
    );
    insta::assert_snapshot!(problems);
}

#[test]
fn variables_reach_packer_as_they_are_written() {
    let text = r#"image "base" {
  build {
    template = "base.pkr.hcl"
    variables = {
      version = 1.10
      account = "012345678901"
      count   = 3
      big     = 12345678901234567890
      list    = ["a", "$${x}", 2, null]
      map     = { "a b" = "q\"uote", c = true }
    }
  }
}
"#;
    let (file, problems) = parse_text(text);
    assert_eq!(problems, "");
    let variables = file.expect("a file").images[0].build.clone().expect("a build").variables;
    let of = |name: &str| variables[name].as_str();
    assert_eq!((of("version"), of("account"), of("count")), ("1.10", "012345678901", "3"));
    assert_eq!(of("big"), "12345678901234567890");
    assert_eq!(of("list"), r#"["a","$${x}",2,null]"#);
    assert_eq!(of("map"), r#"{"a b":"q\"uote","c":true}"#);
}

#[test]
fn what_would_change_on_its_way_is_a_mistake() {
    let variable = |value: &str| {
        let text =
            format!("image \"base\" {{\n  build {{\n    template = \"t\"\n    variables = {{ {value} }}\n  }}\n}}\n");
        parse_text(&text).1
    };
    assert!(variable("a = null").contains("leave the variable out"), "{}", variable("a = null"));
    assert!(
        variable("a = 012345678901").contains("assay.hcl:4: ")
            && variable("a = 012345678901").contains("write it in quotes")
    );
    assert!(variable("a = 100000000000000000000").contains("more digits than are kept"));
    for name in ["\"\"", "\"h i\"", "\"a=b\""] {
        assert!(variable(&format!("{name} = 1")).contains("is not the name of a variable"), "{name}");
    }
    let tags = parse_text("image \"base\" {\n  tags = { Account = 012345678901 }\n}\n").1;
    assert!(tags.contains("write it in quotes"), "{tags}");
}

#[test]
fn a_block_that_is_written_as_an_attribute_is_told_so_and_the_reverse() {
    for (text, words) in [
        ("image = \"x\"\n", "is a block; write image \"…\" { … }"),
        ("git = { branch = \"main\" }\n", "is a block; write git { … }"),
        ("image \"a\" {\n  build = { template = \"x\" }\n}\n", "is a block; write build { … }"),
        ("image \"a\" {\n  parent {\n  }\n}\n", "is no block; write parent = …"),
    ] {
        let problems = parse_text(text).1;
        assert!(problems.contains(words), "{text}: {problems}");
    }
}

#[test]
fn the_protected_branch_is_named_as_git_takes_it() {
    let branch = |name: &str| parse_text(&format!("git {{\n  branch = \"{name}\"\n}}\n"));
    for (name, taken) in [("main", "main"), ("refs/heads/main", "main"), ("release/1.x", "release/1.x")] {
        let (file, problems) = branch(name);
        assert_eq!((problems.as_str(), file.expect("a file").git.branch.as_str()), ("", taken));
    }
    for name in ["ma..in", "a~1", "a^", "a:b", "-x", "a//b", "a/", "a.lock", "a b", "@", "a@{1}", ".a", "refs/heads/"] {
        assert!(branch(name).1.contains("is not a name that git takes"), "{name}: {}", branch(name).1);
    }
}
