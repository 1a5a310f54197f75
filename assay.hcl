# What this repository builds, declared once for the post-processor and for the command line.

# Who may say that an AMI is gold: only the protected branch, in images/<image>.lock.hcl.
git {
  branch = "main"
}

image "base" {
  # Their bytes make the source digest: what the AMI was built from.
  inputs = [
    "packer/base.pkr.hcl",
    "packer/policy/**",
    "packer/suites/**",
  ]

  # Debian's updates make a rebuild due even when nothing here changed.
  max_age = "30d"

  suites {
    candidate = ["packer/suites/smoke.hcl"]
    gold      = ["packer/suites/gold.hcl"]
  }

  ssh {
    username = "admin"
  }

  launch {
    ttl = "1h"
  }

  build {
    template = "packer/base.pkr.hcl"
  }

  # Where the gold id is written for others to read, in the very commit that makes it gold.
  projection "examples/terraform/images.auto.tfvars" {
    variable = "base_amis"
  }

  retention {
    keep_releases = 3
    keep_days     = 30
  }

  # Who gets the gold AMI, after the tests:
  #
  # distribution {
  #   ami_regions   = ["eu-west-1"]
  #   ami_users     = ["123456789012"]
  #   ami_org_arns  = ["arn:aws:organizations::123456789012:organization/o-exampleorg1"]
  #   ssm_parameter = "/images/base/{architecture}"
  # }
}

image "app" {
  # Its gold is a part of this image: when base's gold moves, app is due.
  parent = "base"

  inputs = [
    "packer/app.pkr.hcl",
    "packer/app/**",
    "packer/policy/90-clean.sh",
  ]

  max_age = "30d"

  suites {
    candidate = ["packer/app/suites/smoke.hcl"]
    gold      = ["packer/suites/gold.hcl", "packer/app/suites/gold.hcl"]
  }

  ssh {
    username = "admin"
  }

  launch {
    ttl = "1h"
  }

  build {
    template = "packer/app.pkr.hcl"
  }

  projection "examples/terraform/images.auto.tfvars" {
    variable = "app_amis"
  }

  retention {
    keep_releases = 3
    keep_days     = 30
  }
}
