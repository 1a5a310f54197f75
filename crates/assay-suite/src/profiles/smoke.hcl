# The instance booted well and can be worked with. Nothing here depends on the distribution: stock Debian, Ubuntu, Amazon Linux and
# the RHEL family pass. Where names differ (ssh and sshd, apt and dnf), what they do is asked for instead. On systems whose root is an
# image (Fedora CoreOS, bootc) it is read-only and full by design: copy this and leave "root" out.
suite "smoke" {
  retry       = 2
  retry_delay = "2s"

  boot "first" {
    title        = "the boot ended, and nothing failed on the way (some distributions come without cloud-init)"
    cloud-init   = { or = ["done", "absent"] }
    failed-units = []
    seconds      = { lt = 300 }
    oom-kills    = 0
  }

  root-filesystem "root" {
    title     = "the root file system can be written and has room"
    read-only = false
    usage     = { lt = 90 }
  }

  # Where each connection has a server of its own (Flatcar), that is called sshd-session.
  command "grep -q -s -x -E 'sshd(-session)?' /proc/[0-9]*/comm" {
    title       = "an SSH server runs"
    exit-status = 0
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
