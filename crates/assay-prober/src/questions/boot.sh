# $1: r where it matters whether the host wants to be booted again.
ask_boot() {
  begin
  cloud_init_state
  [ "$C" = 1 ] && [ ! -r /run/cloud-init/result.json ] && root && r=$S
  a=".c $C
.r
$($r head -c 65536 /run/cloud-init/result.json 2>/dev/null | enc)
.j
$($r head -c 65536 /run/cloud-init/status.json 2>/dev/null | enc)"
  r=
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    # It is zero until the last job of the boot is done, and that may be a moment after cloud-init's.
    n=0
    while :; do
      systemctl_said show -p FinishTimestampMonotonic -p UserspaceTimestampMonotonic -p FirmwareTimestampMonotonic
      case $v in *FinishTimestampMonotonic=0*) ;; *) break ;; esac
      n=$((n + 1))
      [ "$n" -lt "$T" ] || break
      sleep 1
    done
    k=vm
    [ -e /run/systemd/container ] && k=container
    a="$a
.t $k
$(put "$v$e" | head -c 4096 | enc)"
    systemctl_said list-units --state=failed --plain --no-legend --no-pager --full
    a="$a
.s $q
.o
$(put "$v" | enc)"
    part e "$e"
  fi
  r=
  a="$a
.b
$(grep -E '^btime ' /proc/stat 2>/dev/null | enc)
.k
$(head -c 64 /proc/sys/kernel/tainted 2>/dev/null | enc)
.m
$(grep -E '^oom_kill ' /proc/vmstat 2>/dev/null | enc)"
  grep -q '^oom_kill ' /proc/vmstat 2>/dev/null || kernel_messages
  if [ -n "$1" ]; then
    q='?'
    reboot_required
    a="$a
.q $q"
    if [ "$q" = kernels ]; then
      a="$a
.l
$(told inventory_kernels)
.u
$(told cat /proc/sys/kernel/osrelease)"
    fi
  fi
  answer
}
# How often the kernel ended a process for want of memory, from its messages: where it does not count (before Linux 4.13) and they go back to the
# boot's first.
kernel_messages() {
  if [ "$(id -u)" != 0 ] && root; then r=$S; fi
  v=$(within "$T" dmesg 2>/dev/null)
  r=
  case $v in *'Linux version '*)
    a="$a
.M $(put "$v" | grep -c -E 'Out of memory: Kill|Memory cgroup out of memory: Kill')"
    ;;
  esac
}
# Whether the host wants to be booted again, into q: 1, 0, ? or, where nobody keeps an account of it, the word that says to look at the kernels.
reboot_required() {
  q='?'
  for f in /run/reboot-required /var/run/reboot-required /run/reboot-needed; do
    if [ -e "$f" ]; then
      q=1
      return
    fi
  done
  # Those that would have written it (Ubuntu, Debian with unattended-upgrades).
  for f in /usr/share/update-notifier/notify-reboot-required /etc/kernel/postinst.d/unattended-upgrades; do
    if [ -e "$f" ]; then
      q=0
      return
    fi
  done
  if [ "$(id -u)" != 0 ] && root; then r=$S; fi
  # They may have to read the repositories' lists first.
  o=$T T=$((T * 3))
  # (zypper brings a needs-restarting of its own, which says nothing of reboots.)
  if command -v needs-restarting >/dev/null 2>&1; then restart_said needs-restarting -r; fi
  if [ "$q" = '?' ] && command -v dnf >/dev/null 2>&1; then restart_said dnf needs-restarting -r; fi
  if [ "$q" = '?' ] && command -v zypper >/dev/null 2>&1; then
    v=$(plain zypper --non-interactive needs-rebooting 2>/dev/null)
    case $? in 0) q=0 ;; 102) q=1 ;; esac
  fi
  T=$o r=
  [ "$q" != '?' ] || q=kernels
}
# Their own errors end with 1 as well: what they say decides.
restart_said() {
  v=$(plain "$@" 2>/dev/null)
  case $?:$v in
  1:*'Reboot is required'*) q=1 ;;
  0:*'Reboot should not be necessary'* | 0:*'Reboot is probably not necessary'*) q=0 ;;
  esac
}
