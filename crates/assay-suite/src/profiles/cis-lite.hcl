# A short choice of what hardening guides ask for, that one login can tell. It is no audit: it follows the themes of the CIS benchmarks
# for Linux, not their numbers. Stock images do not pass all of it. Copy it and strike what your images mean otherwise.
suite "cis-lite" {
  hygiene "accounts" {
    title           = "no account without a password, none like root, no password logins"
    empty-passwords = []
    password-logins = []
    uid0            = []
    sudoers         = []
  }

  hygiene "files" {
    title          = "no file that anybody may write, that belongs to nobody, or that is privileged beyond what distributions ship"
    world-writable = []
    unowned        = []
    suid           = []
  }

  sshd "logins" {
    title                          = "SSH: only people with keys, and not as root"
    permit-root-login              = "no"
    password-authentication        = "no"
    permit-empty-passwords         = "no"
    hostbased-authentication       = "no"
    ignore-rhosts                  = "yes"
    permit-user-environment        = "no"
    max-auth-tries                 = { le = 4 }
    login-grace-time               = { and = [{ gt = 0 }, { le = 60 }] }
    use-pam                        = "yes"
    log-level                      = { or = ["INFO", "VERBOSE"] }
    x11-forwarding                 = "no"
  }

  sshd "ciphers" {
    title          = "SSH: no broken ciphers, digests or key exchanges"
    ciphers        = { not = { or = [{ contain-element = "3des-cbc" }, { contain-element = "aes128-cbc" }, { contain-element = "arcfour" }] } }
    macs           = { not = { or = [{ contain-element = "hmac-md5" }, { contain-element = "hmac-md5-96" }, { contain-element = "hmac-sha1-96" }] } }
    kex-algorithms = { not = { or = [{ contain-element = "diffie-hellman-group1-sha1" }, { contain-element = "diffie-hellman-group14-sha1" }] } }
  }

  listening "ports" {
    title = "the network reaches SSH only; DHCP and the clock are clients"
    allow = ["tcp:22", "udp:68", "udp:546", "udp:323"]
  }

  file "/etc/passwd" {
    title  = "only root writes users"
    exists = true
    mode   = "0644"
    owner  = "root"
    group  = "root"
  }

  file "/etc/group" {
    title  = "only root writes groups"
    exists = true
    mode   = "0644"
    owner  = "root"
    group  = "root"
  }

  file "/etc/shadow" {
    title  = "only root reads password hashes"
    exists = true
    mode   = { or = ["0640", "0600", "0400", "0000"] }
    owner  = "root"
  }

  # SLES and Alpine have none.
  command "if [ -e /etc/gshadow ]; then stat -L -c '%a %U' /etc/gshadow; else echo none; fi" {
    title       = "only root reads groups' password hashes"
    exit-status = 0
    stdout      = ["/^((640|600|400|0) root|none)$/"]
  }

  file "/etc/ssh/sshd_config" {
    title  = "only root writes the SSH server's settings"
    exists = true
    mode   = { or = ["0600", "0640", "0644"] }
    owner  = "root"
  }

  kernel-param "kernel.randomize_va_space" {
    title = "addresses are laid out at random"
    value = "2"
  }

  kernel-param "fs.suid_dumpable" {
    title = "privileged programs leave no core dumps for others"
    value = { or = ["0", "2"] }
  }

  kernel-param "fs.protected_symlinks" {
    title = "symbolic links in shared folders are followed by their owners only"
    value = "1"
  }

  kernel-param "fs.protected_hardlinks" {
    title = "nobody links files that are not theirs"
    value = "1"
  }

  kernel-param "kernel.dmesg_restrict" {
    title = "only root reads the kernel's messages"
    value = "1"
  }

  kernel-param "net.ipv4.conf.all.accept_source_route" {
    title = "packets do not choose their way"
    value = "0"
  }

  kernel-param "net.ipv4.conf.all.accept_redirects" {
    title = "other hosts do not change routes"
    value = "0"
  }

  kernel-param "net.ipv4.conf.all.send_redirects" {
    title = "this host is no router"
    value = "0"
  }

  kernel-param "net.ipv4.icmp_echo_ignore_broadcasts" {
    title = "broadcast pings are not answered"
    value = "1"
  }

  kernel-param "net.ipv4.tcp_syncookies" {
    title = "floods of new connections are survived"
    value = "1"
  }

  package "telnetd" {
    title     = "no telnet server (Debian's name)"
    installed = false
  }

  package "telnet-server" {
    title     = "no telnet server (Red Hat's name)"
    installed = false
  }

  package "rsh-server" {
    title     = "no rsh server"
    installed = false
  }

  package "ypserv" {
    title     = "no NIS server"
    installed = false
  }

  package "xinetd" {
    title     = "no super-server"
    installed = false
  }

  boot "now" {
    title           = "what was updated is what runs"
    reboot-required = false
  }
}
