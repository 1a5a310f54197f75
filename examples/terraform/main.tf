# Reads the gold AMIs that assay keeps in images.auto.tfvars.
#
# An image of one architecture is a map from region to AMI; one of several is a map from architecture to such maps, from the commit on that makes it so. `any` and
# `try` take both.
variable "base_amis" {
  type        = any
  description = "The gold AMIs of the base image."
}

variable "app_amis" {
  type        = any
  description = "The gold AMIs of the app image."
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "architecture" {
  type    = string
  default = "x86_64"
}

output "app_ami" {
  value = try(var.app_amis[var.architecture][var.region], var.app_amis[var.region], null)
}
