# An image chained on the base image: it starts from whatever AMI of base is gold now, and adds an application by Ansible and by shell.
#
# From the folder of assay.hcl, once base has a gold (images/base.lock.hcl), with ansible-playbook in PATH:
#
#   packer init packer/app.pkr.hcl && packer build packer/app.pkr.hcl
#
# For arm64 instead: -var architecture=arm64. For both give it a source for each, as packer/base.pkr.hcl has: what two runs made cannot be gold together.
#
# `packer validate` needs no lock: Packer does not look gold up there (-evaluate-datasources does).

packer {
  required_version = ">= 1.7.0"

  # assay is not here: `packer init` would download whatever somebody publishes under a name of ours. Packer finds the installed one by itself.
  required_plugins {
    amazon = {
      version = "1.8.2"
      source  = "github.com/hashicorp/amazon"
    }
    ansible = {
      version = ">= 1.0.1"
      source  = "github.com/hashicorp/ansible"
    }
  }
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is built; the gold of base must have an AMI there."
}

variable "ami_regions" {
  type        = list(string)
  default     = []
  description = "Further regions that get a copy; assay tests every one of them."
}

variable "architecture" {
  type        = string
  default     = "x86_64"
  description = "What is built, in EC2's word: x86_64 or arm64."
}

variable "instance_types" {
  type        = map(string)
  default     = { x86_64 = "t3.small", arm64 = "t4g.small" }
  description = "What the image is built on, by architecture."
}

variable "base_ref" {
  type        = string
  default     = ""
  description = "Read the lock of base from this commit instead of the checked-out tree, like origin/main."
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

# The gold AMI of base for this region and architecture. No gold, a revoked one, a changed lock: the build ends here, before anything is made.
data "assay-image" "base" {
  image        = "base"
  region       = var.region
  architecture = var.architecture
  ref          = var.base_ref
}

locals {
  stamp      = formatdate("YYYYMMDD-hhmmss", timestamp())
  expires_at = timeadd(timestamp(), "3h")

  # assay adds assay:parent, the AMI that this one was really built from; promotion holds it against the lock of base.
  assay_tags = {
    "assay:managed" = "true"
    "assay:owner"   = var.owner
    "assay:image"   = "app"
    "assay:state"   = "building"
  }
}

source "amazon-ebs" "app" {
  region        = var.region
  ami_regions   = var.ami_regions
  ami_name      = "app-${var.architecture}-${local.stamp}"
  instance_type = var.instance_types[var.architecture]
  source_ami    = data.assay-image.base.id

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

  tags            = merge(local.assay_tags, { Name = "app-${var.architecture}-${local.stamp}" })
  snapshot_tags   = local.assay_tags
  run_tags        = merge(local.assay_tags, { Name = "packer-app-${local.stamp}", "assay:expires-at" = local.expires_at })
  run_volume_tags = merge(local.assay_tags, { "assay:expires-at" = local.expires_at })
}

build {
  sources = ["source.amazon-ebs.app"]

  provisioner "shell" {
    inline = ["cloud-init status --wait > /dev/null || cloud-init status --long"]
  }

  # Policy as a playbook, run by the ansible-playbook of this machine against the build instance. The instance is minutes old and its host key
  # unknown to anybody, as for Packer itself.
  provisioner "ansible" {
    playbook_file = "${path.root}/app/ansible/site.yml"
    user          = var.ssh_username
    use_proxy     = false

    # So that `packer validate` needs no Ansible, like the job that only lints.
    skip_version_check = true

    ansible_env_vars = [
      "ANSIBLE_HOST_KEY_CHECKING=False",
      "ANSIBLE_NOCOLOR=True",
      "ANSIBLE_RETRY_FILES_ENABLED=False",
    ]
  }

  # Policy as scripts; the last one is the base image's own.
  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    scripts = [
      "${path.root}/app/policy/10-limits.sh",
      "${path.root}/policy/90-clean.sh",
    ]
  }

  # First chain: assay boots the finished AMI, tests it, stamps it. Settings come from assay.hcl, image "app".
  post-processor "assay" {
    image      = "app"
    manifest   = "build/manifest.json"
    report_dir = "build/reports/app"
  }

  # Second chain, and not decoration: it keeps the AMI even when assay reports a failure or is killed (packer/base.pkr.hcl says more).
  post-processor "manifest" {
    output = "packer-manifest.json"
  }
}
