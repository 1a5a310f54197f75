//! A complete file keeps everything; a file of mistakes gives one message for each, with its line.

use std::path::Path;

use super::*;
use crate::config::problem::Problem;

fn parse_text(text: &str) -> (Option<ConfigFile>, String) {
    let mut problems: Vec<Problem> = Vec::new();
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
    assert_eq!(base.retention, Retention { keep_releases: Some(5), keep_days: Some(30) });
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
