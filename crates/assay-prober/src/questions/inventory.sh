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
ask_inventory_packages() {
  begin
  m=none q=none v= e=
  if command -v dpkg-query >/dev/null 2>&1 && [ -s /var/lib/dpkg/status ]; then
    m=dpkg
    packages_said dpkg-query -W -f '${db:Status-Abbrev}\t${Package}\t${Architecture}\t${Version}\n'
  elif command -v rpm >/dev/null 2>&1; then
    m=rpm
    packages_said rpm -qa --qf 'ii\t%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n'
  elif command -v apk >/dev/null 2>&1; then
    m=apk
    f=/lib/apk/db/installed
    [ -e "$f" ] || f=/usr/lib/apk/db/installed
    packages_said grep -E '^[PVA]:' "$f"
  elif command -v pacman >/dev/null 2>&1; then
    m=pacman
    packages_said pacman -Q
  fi
  a=".s $q
.m $m
.o
$(put "$v" | head -c 1000000 | enc)"
  part e "$e"
  answer
}
# The list into v, its status into q. A part of the list can come with an error and the status 0, so what stands on stderr counts; and the
# database may be root's.
packages_said() {
  e=$(plain "$@" 2>&1 >/dev/null)
  q=$?
  case $q:$e in
  0:) ;;
  *) if [ "$(id -u)" != 0 ] && root; then r=$S; fi ;;
  esac
  v=$(plain "$@" 2>/dev/null)
  q=$?
  [ -z "$r" ] || e=$(plain "$@" 2>&1 >/dev/null)
  r=
}
ask_inventory_units() {
  begin
  if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
    k=service,socket,timer,path
    systemctl_said list-unit-files --no-legend --no-pager --full --type=$k
    a=".x $q
.f
$(put "$v" | head -c 400000 | enc)"
    systemctl_said list-units --all --plain --no-legend --no-pager --full --type=$k
    a="$a
.s $q
.l
$(put "$v" | head -c 400000 | enc)"
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
      systemctl_said show -p FinishTimestampMonotonic -p UserspaceTimestampMonotonic
      case $v in *FinishTimestampMonotonic=0*) ;; *) break ;; esac
      n=$((n + 1))
      [ "$n" -lt 10 ] || break
      sleep 1
    done
    k=vm
    [ -e /run/systemd/container ] && k=container
    a="$a
.t $k
$(put "$v" | head -c 4096 | enc)"
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
  a='.x 1'
  if [ "$(id -u)" != 0 ]; then
    if root; then r=$S; else a='.x ?'; fi
  fi
  if [ "$a" = '.x 1' ]; then
    if find / -maxdepth 0 -xdev -type d '(' -perm -4000 -o -perm -2 -o -type d ')' >/dev/null 2>&1; then
      v=$(
        {
          within 60 find / -xdev -type f '(' -perm -4000 -o -perm -2000 ')' -exec sh -c '
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
