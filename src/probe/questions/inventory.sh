# What is in the image, one answer for each part. Lists are cut at a length that the reader knows: one that reaches it is not whole.
ask_inventory_system() {
  begin
  a=".x 1
.o
$({ cat /etc/os-release || cat /usr/lib/os-release; } 2>/dev/null | head -c 16384 | enc)
.k
$(head -c 256 /proc/sys/kernel/osrelease 2>/dev/null | enc)
.l
$(inventory_kernels | head -c 65536 | enc)
.u
$(head -c 262144 /etc/passwd 2>/dev/null | enc)
.g
$(head -c 262144 /etc/group 2>/dev/null | enc)"
  answer
}
# The releases of the kernels that can be booted; where none has a file of its own, those that have modules.
inventory_kernels() {
  n=
  for f in /boot/vmlinuz-* /boot/vmlinux-* /usr/lib/modules/*/vmlinuz /lib/modules/*/vmlinuz; do
    [ -e "$f" ] || continue
    n=1
    case $f in
    */vmlinuz)
      f=${f%/vmlinuz}
      printf '%s\n' "${f##*/}"
      ;;
    *)
      f=${f##*/vmlinu}
      printf '%s\n' "${f#?-}"
      ;;
    esac
  done
  [ -n "$n" ] && return
  for f in /lib/modules/*; do
    [ -d "$f" ] && printf '%s\n' "${f##*/}"
  done
}
ask_inventory_packages() {
  begin
  if command -v dpkg-query >/dev/null 2>&1 && [ -s /var/lib/dpkg/status ]; then
    m=dpkg
    v=$(plain dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\n' 2>/dev/null)
  elif command -v rpm >/dev/null 2>&1; then
    m=rpm
    v=$(plain rpm -qa --qf 'ii\t%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' 2>/dev/null)
  elif command -v apk >/dev/null 2>&1; then
    m=apk
    v=$(cat /lib/apk/db/installed 2>/dev/null || cat /usr/lib/apk/db/installed 2>/dev/null)
    q=$?
    v=$(printf '%s\n' "$v" | grep -E '^[PVA]:')
    (exit "$q")
  elif command -v pacman >/dev/null 2>&1; then
    m=pacman
    v=$(plain pacman -Q 2>/dev/null)
  else
    m=none v=
  fi
  a=".s $?
.m $m
.o
$(printf '%s' "$v" | head -c 1000000 | enc)"
  answer
}
ask_inventory_units() {
  begin
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    k=service,socket,timer,path
    v=$(plain systemctl list-unit-files --no-legend --no-pager --full --type=$k 2>/dev/null)
    a=".x $?
.f
$(printf '%s' "$v" | head -c 400000 | enc)"
    v=$(plain systemctl list-units --all --plain --no-legend --no-pager --full --type=$k 2>/dev/null)
    a="$a
.s $?
.l
$(printf '%s' "$v" | head -c 400000 | enc)"
  else
    a='.x none'
  fi
  answer
}
# How long the boot took, and how full the root file system is.
ask_inventory_boot() {
  begin
  a=".d $(limit "$T" stat -f -c '%S:%b:%f' / 2>/dev/null)"
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    # It is zero until the last job of the boot is done.
    n=0
    while :; do
      v=$(limit "$T" systemctl show -p FinishTimestampMonotonic -p UserspaceTimestampMonotonic 2>&1)
      case $v in *FinishTimestampMonotonic=0*) ;; *) break ;; esac
      n=$((n + 1))
      [ "$n" -lt 10 ] || break
      sleep 1
    done
    k=vm
    [ -e /run/systemd/container ] && k=container
    a="$a
.t $k
$(printf '%s' "$v" | head -c 4096 | enc)"
  else
    a="$a
.p
$(head -c 4096 /proc/1/stat 2>/dev/null | enc)"
  fi
  answer
}
# Programs with set-uid or set-gid on the root file system, which are root's to see. In a name with a line feed there is ? in its place.
ask_inventory_set_id() {
  begin
  r=
  a='.x 1'
  if [ "$(id -u)" != 0 ]; then
    if root; then r=$S; else a='.x ?'; fi
  fi
  if [ "$a" = '.x 1' ]; then
    if find / -maxdepth 0 -xdev -type d '(' -perm -4000 -o -perm -2 -o -type d ')' >/dev/null 2>&1; then
      v=$(
        {
          limit 60 $r find / -xdev -type f '(' -perm -4000 -o -perm -2000 ')' -exec sh -c '
            for f; do
              printf "%s " "$(stat -c "%a %U %G" -- "$f")"
              printf "%s" "$f" | tr "\n" "?"
              echo
            done' sh {} + 2>/dev/null
          printf 'end %s\n' "$?"
        } | head -c 262144 | enc
      )
      a="$a
.o
$v"
    else
      a='.x -'
    fi
  fi
  answer
}
