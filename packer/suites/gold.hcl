# What a base image must answer in addition before it may be gold: run on the protected branch, never by the job that built it.
suite "gold" {
  timeout = "60s"

  # Nothing that belongs to one machine, nothing that the build has left, and no way in that nobody asked for: every property is demanded.
  hygiene "image" {}

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

  # By the lists that the build has fetched: nothing was kept back.
  command "apt-get -s dist-upgrade" {
    exit-status = 0
    stdout      = ["!/^Inst /"]
  }

  # The newest kernel that is installed is the one that runs. An image without one (a container's) has nothing to compare.
  command "new=$(ls -1 /boot/vmlinuz-* 2> /dev/null | sort -V | tail -n 1); [ -z \"$new\" ] || [ \"$new\" = \"/boot/vmlinuz-$(uname -r)\" ]" {
    exit-status = 0
  }
}
