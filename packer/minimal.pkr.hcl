# An image made from nothing: Debian is installed onto an empty volume that a helper instance has attached, and the AMI is registered from that
# volume's snapshot (amazon-ebssurrogate). Nobody's image is its parent, and nothing of the helper's is in it.
#
#   packer init packer/minimal.pkr.hcl && packer build packer/minimal.pkr.hcl
#
# For real AWS only: it needs Debian's mirror and a volume that really is a disk, and the mini cloud of this repository has neither. There it is
# held to `packer validate`; it was not run against AWS. Its assay.hcl is its own, so that nothing builds it unasked.

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
  type    = string
  default = "us-east-1"
}

variable "instance_type" {
  type        = string
  default     = "t3.small"
  description = "The helper's; the image is x86_64."
}

variable "ssh_username" {
  type        = string
  default     = "admin"
  description = "The helper's user, and the one that cloud-init makes in the image."
}

variable "ssh_source_cidrs" {
  type        = list(string)
  default     = []
  description = "Who may reach the helper by SSH. Empty: this machine's public address only."
}

variable "mirror" {
  type        = string
  default     = "https://deb.debian.org/debian"
  description = "Where Debian comes from."
}

variable "owner" {
  type        = string
  default     = "assay"
  description = "The repository on whose behalf this is built."
}

locals {
  stamp      = formatdate("YYYYMMDD-hhmmss", timestamp())
  expires_at = timeadd(timestamp(), "3h")
  device     = "/dev/sdf"

  assay_tags = {
    "assay:managed" = "true"
    "assay:owner"   = var.owner
    "assay:image"   = "minimal"
    "assay:state"   = "building"
  }
}

source "amazon-ebssurrogate" "minimal" {
  region        = var.region
  ami_name      = "minimal-x86_64-${local.stamp}"
  instance_type = var.instance_type

  # The helper; its release is also what debootstrap knows best.
  source_ami_filter {
    owners      = ["136693071363"] # Debian
    most_recent = true
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  ami_virtualization_type = "hvm"
  ami_architecture        = "x86_64"
  ena_support             = true

  launch_block_device_mappings {
    device_name           = local.device
    volume_size           = 4
    volume_type           = "gp3"
    delete_on_termination = true
  }

  ami_root_device {
    source_device_name    = local.device
    device_name           = "/dev/xvda"
    volume_size           = 4
    volume_type           = "gp3"
    delete_on_termination = true
  }

  ssh_username            = var.ssh_username
  temporary_key_pair_type = "ed25519"

  temporary_security_group_source_cidrs     = var.ssh_source_cidrs
  temporary_security_group_source_public_ip = length(var.ssh_source_cidrs) == 0

  imds_support = "v2.0"
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags            = merge(local.assay_tags, { Name = "minimal-x86_64-${local.stamp}" })
  snapshot_tags   = local.assay_tags
  run_tags        = merge(local.assay_tags, { Name = "packer-minimal-${local.stamp}", "assay:expires-at" = local.expires_at })
  run_volume_tags = merge(local.assay_tags, { "assay:expires-at" = local.expires_at })
}

build {
  sources = ["source.amazon-ebssurrogate.minimal"]

  provisioner "shell" {
    inline = ["cloud-init status --wait > /dev/null || cloud-init status --long"]
  }

  # The policy scripts go along: they are run inside the new system, not on the helper.
  provisioner "file" {
    source      = "${path.root}/policy"
    destination = "/tmp"
  }

  provisioner "shell" {
    execute_command  = "sudo env {{ .Vars }} sh {{ .Path }}"
    environment_vars = ["DEVICE=${local.device}", "MIRROR=${var.mirror}", "POLICY=/tmp/policy"]
    script           = "${path.root}/minimal/install.sh"
  }

  post-processor "assay" {
    image        = "minimal"
    config       = "${path.root}/minimal/assay.hcl"
    ssh_username = var.ssh_username
    manifest     = "build/manifest.json"
    report_dir   = "build/reports/minimal"
  }

  # Keeps the AMI whatever becomes of assay (packer/base.pkr.hcl says more).
  post-processor "manifest" {
    output = "packer-manifest.json"
  }
}
