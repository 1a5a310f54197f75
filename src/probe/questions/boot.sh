# $1: r where it matters whether the host wants to be booted again.
ask_boot() {
  begin
  cloud_init_state
  r=
  [ "$C" = 1 ] && [ ! -r /run/cloud-init/result.json ] && root && r=$S
  a=".c $C
.r
$($r head -c 65536 /run/cloud-init/result.json 2>/dev/null | enc)
.j
$($r head -c 65536 /run/cloud-init/status.json 2>/dev/null | enc)"
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    # It is zero until the last job of the boot is done, and that may be a moment after cloud-init's.
    n=0
    while :; do
      v=$(limit "$T" systemctl show -p FinishTimestampMonotonic -p UserspaceTimestampMonotonic -p FirmwareTimestampMonotonic 2>&1)
      case $v in *FinishTimestampMonotonic=0*) ;; *) break ;; esac
      n=$((n + 1))
      [ "$n" -lt "$T" ] || break
      sleep 1
    done
    k=vm
    [ -e /run/systemd/container ] && k=container
    a="$a
.t $k
$(printf '%s' "$v" | head -c 4096 | enc)"
    v=$(limit "$T" systemctl list-units --state=failed --plain --no-legend --no-pager --full 2>&1)
    a="$a
.s $?
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  fi
  a="$a
.b
$(grep -E '^btime ' /proc/stat 2>/dev/null | enc)
.k
$(head -c 64 /proc/sys/kernel/tainted 2>/dev/null | enc)
.m
$(grep -E '^oom_kill ' /proc/vmstat 2>/dev/null | enc)"
  if [ -n "$1" ]; then
    q=0
    if [ -e /run/reboot-required ] || [ -e /var/run/reboot-required ]; then
      q=1
    elif command -v needs-restarting >/dev/null 2>&1; then
      r=
      if [ "$(id -u)" != 0 ] && root; then r=$S; fi
      limit "$T" $r needs-restarting -r >/dev/null 2>&1
      case $? in 0) ;; 1) q=1 ;; *) q='?' ;; esac
    fi
    a="$a
.q $q"
  fi
  answer
}
