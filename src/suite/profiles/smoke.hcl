# The instance booted well and can be worked with. Nothing here depends on the distribution: stock Debian, Ubuntu, Amazon Linux and
# the RHEL family pass. Where names differ (ssh and sshd, apt and dnf), what they do is asked for instead.
suite "smoke" {
  retry       = 2
  retry_delay = "2s"

  boot "first" {
    title        = "the boot ended, and nothing failed on the way"
    cloud-init   = "done"
    failed-units = []
    seconds      = { lt = 300 }
    oom-kills    = 0
  }

  root-filesystem "root" {
    title     = "the root file system can be written and has room"
    read-only = false
    usage     = { lt = 90 }
  }

  process "sshd" {
    title   = "an SSH server runs"
    running = true
  }

  listening "ports" {
    title = "it listens beyond loopback"
    ports = { contain-element = "tcp:22" }
  }

  sshd "effective" {
    title                   = "it takes keys, and no empty passwords"
    pubkey-authentication   = "yes"
    permit-empty-passwords  = "no"
  }

  file "/etc/machine-id" {
    title    = "the instance has an identity"
    exists   = true
    contents = ["/^[0-9a-f]{32}$/"]
  }

  file "/etc/os-release" {
    title    = "the system says what it is"
    exists   = true
    contents = ["/^ID=/"]
  }

  file "/etc/passwd" {
    title  = "users can be looked up, and only root writes them"
    exists = true
    mode   = "0644"
    owner  = "root"
  }

  file "/etc/shadow" {
    title  = "password hashes are root's"
    exists = true
    mode   = { or = ["0640", "0600", "0400", "0000"] }
    owner  = "root"
  }

  file "/tmp" {
    title    = "programs can make temporary files, and only take away their own"
    exists   = true
    filetype = "directory"
    mode     = "1777"
  }

  user "root" {
    title  = "root is there"
    exists = true
    uid    = 0
    home   = "/root"
  }

  command "date -u +%s" {
    title       = "the clock is set"
    exit-status = 0
    stdout      = ["/^(1[7-9]|[2-9][0-9])[0-9]{8}$/"]
  }
}
