# The stock image, and the stock image with what `assay diff` must name: a package upgraded, a user, a set-uid program, something that listens.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

source "amazon-ebs" "changed" {
  region        = "us-east-1"
  ami_name      = "changed"
  instance_type = "t3.small"
  ssh_username  = "debian"
  # What Packer adds for itself would be a difference too.
  ssh_clear_authorized_keys = true

  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = ["127.0.0.1/32"]

  source_ami_filter {
    owners      = ["136693071363"]
    most_recent = true
    filters     = { name = "debian-12-amd64-*" }
  }
}

build {
  sources = ["source.amazon-ebs.changed"]

  provisioner "shell" {
    inline = [
      "cloud-init status --wait > /dev/null || true",
      "sudo apt-get -q update && sudo apt-get -q -y install --only-upgrade minicloud-motd",
      "sudo groupadd --system --gid 970 courier && sudo useradd --system --no-create-home --uid 970 --gid 970 --shell /usr/sbin/nologin courier",
      "sudo cp /usr/bin/id /usr/local/bin/id-as-root && sudo chmod 4755 /usr/local/bin/id-as-root",
      "printf '[Unit]\\nDescription=listens\\n[Service]\\nExecStart=/usr/bin/python3 -m http.server 8099 --bind 0.0.0.0\\n[Install]\\nWantedBy=multi-user.target\\n' | sudo tee /etc/systemd/system/courier.service > /dev/null",
      "sudo systemctl enable courier.service",
      # The machine-id stays: without one systemd takes the next boot for the first, and enables units by its presets, which would be a difference too.
      "sudo cloud-init clean --logs",
    ]
  }

  post-processor "manifest" {
    output = "changed.json"
  }
}
