# An image as Packer makes it when nobody cleans up: its own key stays behind, and so does all that the build instance became.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

source "amazon-ebs" "unclean" {
  region        = "us-east-1"
  ami_name      = "unclean"
  instance_type = "t3.small"
  ssh_username  = "debian"

  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = ["127.0.0.1/32"]

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.unclean"]

  provisioner "shell" {
    inline = [
      "cloud-init status --wait > /dev/null || true",
      "mkdir -p ~/.aws && printf '[default]\\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\\n' > ~/.aws/credentials",
      "echo 'ls -l' | sudo tee /root/.bash_history > /dev/null",
      "printf 'deploy:x:1500:1500::/home/deploy:/bin/sh\\n' | sudo tee -a /etc/passwd > /dev/null",
      "printf 'deploy:x:1500:\\n' | sudo tee -a /etc/group > /dev/null",
      "echo 'deploy:an-open-door' | sudo chpasswd",
      "echo 'deploy ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/deploy > /dev/null",
      "sudo cp /usr/bin/id /usr/local/bin/id-as-root && sudo chmod 4755 /usr/local/bin/id-as-root",
    ]
  }

  post-processor "manifest" {
    output = "unclean.json"
  }
}
