# How services are kept here, into I: systemd, upstart, openrc or sysv (goss, system/system.go); I2: sysv beside a systemd that is too old
# to know sysv's services (Debian before 9).
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
    case $D in
    ubuntu) I=upstart ;;
    alpine) I=openrc ;;
    *) I=sysv ;;
    esac
  fi
}
# The run levels in which service $1 starts, into v, each followed by a space.
run_levels() {
  v=
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
  if ! command -v service >/dev/null 2>&1; then
    q=none v=
    return
  fi
  v=$(limit "$T" service "$1" status 2>&1)
  q=$?
  # Only root may see everything that such scripts look at.
  if [ "$q" != 0 ] && [ "$(id -u)" != 0 ] && root; then
    v=$(limit "$T" $S service "$1" status 2>&1)
    q=$?
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
      v=$(plain systemctl is-enabled -- "$1" 2>&1)
      a="$a
.e $?"
      part E "$v"
      ;;
    esac
    case $2 in *r*)
      if [ -d /run/systemd/system ]; then
        v=$(plain systemctl is-active -- "$1" 2>&1)
        a="$a
.r $?"
        part R "$v"
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
  if [ "$I" != systemd ] || [ -n "$I2" ]; then
    case $2 in *[el]*) sysv_enabled "$1" ;; esac
    case $2 in *r*) sysv_running "$1" ;; esac
  fi
  answer
}
