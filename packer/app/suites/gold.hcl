# What an app image must answer in addition before it may be gold; the base image's gold suite is asked of it too (assay.hcl).
suite "app-gold" {
  timeout = "60s"

  command "python3 -c \"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode(), end='')\"" {
    exit-status = 0
    stdout      = ["app"]
  }

  command "sudo -u app test -w /srv/app" {
    exit-status = 1
  }
}
