# Thirty properties of a stock Debian, of every resource that assay knows.
suite "thirty" {
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
  service "cron" {
    running = false
  }
  process "sshd" {
    running = true
  }
  port "tcp:22" {
    listening = true
  }
  port "tcp:111" {
    listening = false
  }
  user "root" {
    exists = true
    uid    = 0
    gid    = 0
    home   = "/root"
    shell  = "/bin/bash"
  }
  user "nosuchuser" {
    exists = false
  }
  file "/etc/passwd" {
    exists   = true
    mode     = "0644"
    owner    = "root"
    group    = "root"
    filetype = "file"
    contents = ["root:x:0:0"]
  }
  file "/etc/shadow" {
    exists = true
    mode   = "0640"
  }
  file "/nonexistent" {
    exists = false
  }
  package "openssh-server" {
    installed = true
  }
  package "telnetd" {
    installed = false
  }
  command "uname -s" {
    exit-status = 0
    stdout      = ["Linux"]
  }
  command "false" {
    exit-status = 1
  }
  command "id -u" {
    exit-status = 0
  }
}
