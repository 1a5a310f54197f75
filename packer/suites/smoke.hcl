# What every image of this repository must answer within seconds of its first boot.
suite "smoke" {
  retry   = 2
  timeout = "20s"

  cloud-init "finished" {
    finished = true
    errors   = []
  }

  systemd "units" {
    failed = []
  }

  service "ssh" {
    enabled = true
    running = true
  }

  process "sshd" {
    running = true
  }

  port "tcp:22" {
    listening = true
  }

  user "root" {
    exists = true
    uid    = 0
    home   = "/root"
  }

  file "/etc/passwd" {
    exists   = true
    mode     = "0644"
    owner    = "root"
    group    = "root"
    filetype = "file"
    contents = ["root:x:0:0", "!nosuchuser"]
  }

  file "/etc/shadow" {
    exists = true
    mode   = "0640"
    owner  = "root"
  }

  file "/etc/ssh/sshd_config.d/10-policy.conf" {
    exists   = true
    contents = ["PasswordAuthentication no", "PermitRootLogin no"]
  }

  file "/etc/sysctl.d/60-policy.conf" {
    exists = true
    mode   = "0644"
  }

  file "/etc/cloud/cloud-init.disabled" {
    exists = false
  }

  package "openssh-server" {
    installed = true
  }

  package "telnetd" {
    installed = false
  }

  command "uname -m" {
    exit-status = 0
    stdout      = ["/^(x86_64|aarch64)$/"]
  }

  command "hostname" {
    exit-status = 0
    stdout      = ["!localhost"]
  }
}
