# What every app image must answer within seconds of its first boot. What it has from base is asked again: a child can break its parent's promise.
suite "app-smoke" {
  retry   = 3
  timeout = "20s"

  cloud-init "finished" {
    finished = true
    errors   = []
  }

  systemd "units" {
    failed = []
  }

  service "app" {
    enabled = true
    running = true
  }

  port "tcp:8080" {
    listening = true
    ip        = ["127.0.0.1"]
  }

  user "app" {
    exists = true
    home   = "/srv/app"
    shell  = "/usr/sbin/nologin"
  }

  file "/srv/app/index.html" {
    exists   = true
    mode     = "0640"
    owner    = "root"
    group    = "app"
    contents = ["app"]
  }

  file "/etc/security/limits.d/60-app.conf" {
    exists   = true
    contents = ["app hard core   0"]
  }

  file "/etc/ssh/sshd_config.d/10-policy.conf" {
    exists   = true
    contents = ["PasswordAuthentication no", "PermitRootLogin no"]
  }
}
