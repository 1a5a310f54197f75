# What this repository builds, declared once for the post-processor and for the command line.
image "base" {
  # Their bytes make the source digest: what the AMI was built from.
  inputs = [
    "packer/base.pkr.hcl",
    "packer/policy/**",
    "packer/suites/**",
  ]

  suites {
    candidate = ["packer/suites/smoke.hcl"]
  }

  ssh {
    username = "admin"
  }

  launch {
    ttl = "1h"
  }
}
