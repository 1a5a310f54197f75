# Which family the host belongs to, into D (goss, system/system.go).
distribution() {
  D=
  if grep -q Ubuntu /etc/lsb-release 2>/dev/null; then
    D=ubuntu
  elif [ -e /etc/redhat-release ] || [ -e /etc/system-release ]; then
    D=redhat
  elif [ -e /etc/alpine-release ]; then
    D=alpine
  elif [ -e /etc/arch-release ]; then
    D=arch
  elif [ -e /etc/debian_version ]; then
    D=debian
  fi
}
