# What a base image must answer in addition before it may be gold: run on the protected branch, never by the job that built it.
suite "gold" {
  timeout = "60s"

  # Nothing that belongs to one machine, and no way in that nobody asked for.
  hygiene "image" {
    authorized-keys   = []
    host-keys         = []
    machine-id        = []
    private-keys      = []
    cloud-credentials = []
    empty-passwords   = []
    uid0              = []
  }

  sshd "effective" {
    permit-root-login       = "no"
    password-authentication = "no"
    max-auth-tries          = { le = 4 }
  }

  file "/etc/sysctl.d/60-policy.conf" {
    exists   = true
    contents = ["kernel.kptr_restrict = 1", "net.ipv4.conf.all.accept_redirects = 0"]
  }

  command "dpkg --audit" {
    exit-status = 0
    stdout      = []
  }
}
