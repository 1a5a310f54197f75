# How services are kept here, into I: systemd, upstart, openrc or sysv (goss, system/system.go), or the name of a first process that is none of
# these and starts services itself; I2: sysv beside a systemd that is too old to know sysv's services (Debian before 9).
init_system() {
  distribution
  I2=
  if command -v systemctl >/dev/null 2>&1; then
    I=systemd
    if [ -r /etc/debian_version ]; then
      IFS=. read -r q v </etc/debian_version
      case $q in [1-8]) I2=sysv ;; esac
    fi
  else
    v=
    { IFS= read -r v </proc/1/comm; } 2>/dev/null
    case $D:$v in
    *:runit | *:runit-init | *:s6-svscan | *:dinit | *:shepherd) I=$v ;;
    ubuntu:*) I=upstart ;;
    alpine:*) I=openrc ;;
    *) if [ -d /run/openrc ]; then I=openrc; else I=sysv; fi ;;
    esac
  fi
}
# The run levels in which service $1 starts, into v, each followed by a space; ? where the host keeps none.
run_levels() {
  v='?'
  if [ "$I" = openrc ]; then set -- "$1" /etc/runlevels; else set -- "$1" /etc/init.d /etc/rc[0-9]*.d; fi
  for q in "$@"; do
    [ "$q" != "$1" ] && [ -d "$q" ] && v=
  done
  [ -z "$v" ] || return
  if [ "$I" = openrc ]; then
    for q in /etc/runlevels/*/"$1"; do
      [ -e "$q" ] || [ -L "$q" ] || continue
      q=${q#/etc/runlevels/}
      v="$v${q%%/*} "
    done
  else
    for q in /etc/rc[0-9]*.d/S[0-9][0-9]"$1"; do
      [ -e "$q" ] || [ -L "$q" ] || continue
      q=${q#/etc/rc}
      v="$v${q%%.d/*} "
    done
  fi
}
# Whether upstart starts service $1 by itself.
upstart_starts() {
  grep -q '^manual' "/etc/init/$1.override" 2>/dev/null && return 1
  grep -q '^[[:space:]]*start on' "/etc/init/$1.conf" 2>/dev/null
}
# Asks the service's own script.
service_status() {
  for c in service rc-service none; do
    command -v "$c" >/dev/null 2>&1 && break
  done
  q=none v=
  [ "$c" != none ] || return
  v=$(limit "$T" "$c" "$1" status 2>&1)
  q=$?
  # Only root may see everything that such scripts look at.
  if [ "$q" != 0 ] && [ "$(id -u)" != 0 ]; then
    if root; then
      r=$S
      v=$(within "$T" "$c" "$1" status 2>&1)
      q=$?
    else
      q=user
    fi
  fi
}
sysv_enabled() {
  run_levels "$1"
  a="$a
.v $v"
}
sysv_running() {
  service_status "$1"
  a="$a
.q $q"
  part u "$v"
}
# $2: which of e(nabled) r(unning) l(evels) are wanted.
I=
ask_service() {
  begin
  [ -z "$I" ] && init_system
  a=".i $I"
  if [ "$I" = systemd ]; then
    case $2 in *e*)
      systemctl_said is-enabled -- "$1"
      a="$a
.e $q"
      part E "$v"
      part f "$e"
      ;;
    esac
    case $2 in *r*)
      if [ -d /run/systemd/system ]; then
        systemctl_said is-active -- "$1"
        a="$a
.r $q"
        part R "$v"
        part g "$e"
      else
        a="$a
.r absent"
      fi
      ;;
    esac
  fi
  if [ "$I" = upstart ] && upstart_starts "$1"; then
    a="$a
.p 1"
  fi
  case $I:$I2 in upstart:* | openrc:* | sysv:* | *:sysv)
    case $2 in *[el]*) sysv_enabled "$1" ;; esac
    case $2 in *r*) sysv_running "$1" ;; esac
    ;;
  esac
  answer
}
