# The base image: Debian 12 with all updates, the kernel's included, and our policy, tested by assay before anybody may use it.
#
# From the folder of assay.hcl, after `assay packer install`:
#
#   packer init packer/base.pkr.hcl && packer build packer/base.pkr.hcl
#
# Both architectures in one run: -var 'architectures=["x86_64", "arm64"]'. One run makes one candidate, whose AMIs are promoted together.
# The mini cloud of this repository boots x86_64 only; there arm64 is a word in the API, so its builds are for real AWS.

packer {
  required_version = ">= 1.7.0"

  # assay is not here: `packer init` would download whatever somebody publishes under a name of ours. Packer finds the installed one by itself.
  required_plugins {
    amazon = {
      version = "1.8.2"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is built."
}

variable "ami_regions" {
  type        = list(string)
  default     = []
  description = "Further regions that get a copy; assay tests every one of them."
}

variable "architectures" {
  type        = list(string)
  default     = ["x86_64"]
  description = "What is built, in EC2's words: x86_64, arm64."
}

variable "instance_types" {
  type        = map(string)
  default     = { x86_64 = "t3.small", arm64 = "t4g.small" }
  description = "What the image is built on, by architecture."
}

variable "ssh_username" {
  type        = string
  default     = "admin"
  description = "The user of Debian's own AMIs."
}

variable "ssh_source_cidrs" {
  type        = list(string)
  default     = []
  description = "Who may reach the build instance by SSH. Empty: this machine's public address only."
}

variable "owner" {
  type        = string
  default     = "assay"
  description = "The repository on whose behalf this is built; assay sweep --owner finds what a killed build left by it."
}

variable "policy_dir" {
  type        = string
  default     = "policy"
  description = "Folder of the policy scripts, relative to this template."
}

locals {
  stamp      = formatdate("YYYYMMDD-hhmmss", timestamp())
  expires_at = timeadd(timestamp(), "3h")

  # One source for each architecture: an AMI has one, and so has its instance type.
  sources = {
    x86_64 = "source.amazon-ebs.base"
    arm64  = "source.amazon-ebs.base-arm64"
  }

  # assay:state starts as "building"; assay alone moves it on. assay refuses these keys in its own tags option.
  assay_tags = {
    "assay:managed" = "true"
    "assay:owner"   = var.owner
    "assay:image"   = "base"
    "assay:state"   = "building"
  }
}

source "amazon-ebs" "base" {
  region        = var.region
  ami_regions   = var.ami_regions
  ami_name      = "base-x86_64-${local.stamp}"
  instance_type = var.instance_types["x86_64"]

  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  ssh_username              = var.ssh_username
  ssh_clear_authorized_keys = true
  temporary_key_pair_type   = "ed25519"

  temporary_security_group_source_cidrs     = var.ssh_source_cidrs
  temporary_security_group_source_public_ip = length(var.ssh_source_cidrs) == 0

  # IMDSv2 only: for the build instance, and for whatever is launched from the AMI.
  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags          = merge(local.assay_tags, { Name = "base-x86_64-${local.stamp}" })
  snapshot_tags = local.assay_tags

  # On everything temporary: by assay:state = building, assay:expires-at and Packer's own names assay sweep knows what a killed Packer left, and clears
  # it once it has expired. A build must not take longer than local.expires_at says.
  run_tags        = merge(local.assay_tags, { Name = "packer-base-x86_64-${local.stamp}", "assay:expires-at" = local.expires_at })
  run_volume_tags = merge(local.assay_tags, { "assay:expires-at" = local.expires_at })
}

# The same on the other architecture.
source "amazon-ebs" "base-arm64" {
  region        = var.region
  ami_regions   = var.ami_regions
  ami_name      = "base-arm64-${local.stamp}"
  instance_type = var.instance_types["arm64"]

  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-12-arm64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  ssh_username              = var.ssh_username
  ssh_clear_authorized_keys = true
  temporary_key_pair_type   = "ed25519"

  temporary_security_group_source_cidrs     = var.ssh_source_cidrs
  temporary_security_group_source_public_ip = length(var.ssh_source_cidrs) == 0

  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags          = merge(local.assay_tags, { Name = "base-arm64-${local.stamp}" })
  snapshot_tags = local.assay_tags

  run_tags        = merge(local.assay_tags, { Name = "packer-base-arm64-${local.stamp}", "assay:expires-at" = local.expires_at })
  run_volume_tags = merge(local.assay_tags, { "assay:expires-at" = local.expires_at })
}

build {
  sources = [for architecture in var.architectures : local.sources[architecture]]

  provisioner "shell" {
    inline = ["cloud-init status --wait > /dev/null || cloud-init status --long"]
  }

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    scripts = [
      "${path.root}/${var.policy_dir}/10-update-packages.sh",
      "${path.root}/${var.policy_dir}/20-sshd.sh",
      "${path.root}/${var.policy_dir}/30-kernel-parameters.sh",
      "${path.root}/${var.policy_dir}/90-clean.sh",
    ]
  }

  # First chain: assay boots the finished AMI, tests it, stamps it. Settings come from assay.hcl, image "base".
  post-processor "assay" {
    image      = "base"
    manifest   = "build/manifest.json"
    report_dir = "build/reports/base"
  }

  # Second chain, and not decoration: it keeps the AMI even when assay reports a failure or is killed. Packer deregisters an AMI that no
  # post-processor chain has kept. Its output must be in a folder that exists: Packer does not make one, and a failure here keeps nothing.
  post-processor "manifest" {
    output = "packer-manifest.json"
  }
}
