# Reads the gold AMIs that assay keeps in images.auto.tfvars.
variable "base_amis" {
  type        = map(string)
  description = "The gold AMI of the base image, by region."
}

variable "app_amis" {
  type        = map(string)
  description = "The gold AMI of the app image, by region."
}

variable "region" {
  type    = string
  default = "us-east-1"
}

output "app_ami" {
  value = lookup(var.app_amis, var.region, null)
}
