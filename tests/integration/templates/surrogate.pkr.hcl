# A build that only hands AMIs over, with ebssurrogate's builder id. The tests add settings to the block.
variable "ami" {
  type = string
}

source "minisurrogate" "base" {
  ami            = var.ami
  destroy_marker = "destroyed"
  ssh_username   = "debian"
}

build {
  sources = ["source.minisurrogate.base"]

  post-processor "assay" {
    image      = "base"
    manifest   = "build/manifest.json"
    report_dir = "build/reports"
@SETTINGS@
  }

  post-processor "manifest" {
    output = "packer-manifest.json"
  }
}
