# The image of ../minimal.pkr.hcl, in a file of its own: what stands in the repository's assay.hcl is planned and built by `assay build`.
image "minimal" {
  inputs = [
    "../minimal.pkr.hcl",
    "install.sh",
    "../policy/**",
  ]

  suites {
    candidate = ["../suites/smoke.hcl"]
    gold      = ["../suites/gold.hcl"]
  }

  ssh {
    username = "admin"
  }
}
