PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
exec 9>&1 </dev/null >/dev/null

# Each answer leaves as one printf: header, fields, end mark. Fields are encoded, so nothing that a check prints can look like a mark.
answer() {
  up
  printf '\n%s %s %s %s %s\n%s\n%s .\n' "$N" "$i" "${s:--}" "${u:--}" "$E" "$a" "$N" >&9
}

# Seconds since boot into u, without a process.
up() {
  u=
  { read -r u x </proc/uptime; } 2>/dev/null
}
begin() {
  up
  s=$u
}

if command -v base64 >/dev/null 2>&1; then
  E=b
  enc() { base64; }
elif command -v od >/dev/null 2>&1; then
  E=x
  enc() { od -An -v -tx1; }
else
  E=- i=end a='.z neither base64 nor od'
  answer
  exit 90
fi

# limit SECONDS COMMAND…: ends it when the time is over.
if timeout -k 1 9 true 2>/dev/null; then
  limit() { timeout -k 1 "$@"; }
elif timeout 9 true 2>/dev/null; then
  limit() { timeout "$@"; }
else
  # The process becomes the command, and a child of it looks after the time. (A command in the background would lose its standard input.)
  limit() {
    sh -c '
      l=$0 p=$$
      {
        while [ "$l" -gt 0 ]; do
          sleep 1
          kill -0 "$p" || exit
          l=$((l - 1))
        done
        kill -9 "$p"
      } </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&- &
      exec "$@"' "$@"
  }
fi

# The first $1 bytes of stdin; the rest is read and dropped, so that the writer never notices. Ends after $2 seconds even when the pipe stays open.
kept() { limit "$2" head -c "$1" 2>/dev/null && limit "$2" cat >/dev/null 2>&1; }

# Whether sudo works here without a password; asked once, only when needed.
S= Z=
root() {
  [ "$A" = auto ] || return 1
  if [ -z "$Z" ]; then
    Z=n
    if command -v sudo >/dev/null 2>&1 && limit 9 sudo -n true >/dev/null 2>&1; then Z=y S='sudo -n'; fi
  fi
  [ "$Z" = y ]
}

# Whether "there is no $1" may only mean "this user may not look there".
hidden() {
  d=${1%/*}
  while [ -n "$d" ]; do
    if [ -d "$d" ]; then
      [ -x "$d" ] && return 1
      return 0
    fi
    d=${d%/*}
  done
  return 1
}

# The command's stdout, stderr and status. The three leave through one pipe one after the other: stdout's reader sees its end only when stderr's is
# done, or, where a process that outlives the command holds both, has two seconds more.
ask_command() {
  begin
  a=$({ { {
    limit "$T" sh -c "$1" 2>&1 >&7 7>&- 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | {
    v=$(kept "$2" "$((T + 2))" | enc)
    printf '.e\n%s\n' "$v"
  } >&8 7>&-; } 7>&1 | {
    v=$(kept "$2" "$((T + 4))" | enc)
    printf '.o\n%s\n' "$v"
  } >&8; } 8>&1)
  answer
}

# $2: which of c(ontents) m(d5) h(sha256) H(sha512) are wanted too; $3: how much of the contents.
ask_file() {
  begin
  r=
  if [ -e "$1" ] || [ -L "$1" ]; then
    a='.x 1'
  elif hidden "$1"; then
    if ! root; then
      a='.x ?'
    else
      r=$S
      if $r test -e "$1" || $r test -L "$1"; then a='.x 1'; else a='.x 0'; fi
    fi
  else
    a='.x 0'
  fi
  if [ "$a" = '.x 1' ]; then
    a="$a
.t
$($r stat -c '%f %s %u %g %U %G' -- "$1" 2>/dev/null | enc)
.l
$($r readlink -- "$1" 2>/dev/null | enc)"
    [ -n "$2" ] && file_data "$@"
  fi
  answer
}
file_data() {
  if [ -z "$r" ] && [ ! -r "$1" ] && root; then r=$S; fi
  if ! $r test -r "$1"; then
    a="$a
.c ?"
    return
  fi
  if ! $r test -f "$1"; then
    a="$a
.c -"
    return
  fi
  case $2 in *c*) a="$a
.c
$(limit "$T" $r head -c "$3" -- "$1" 2>/dev/null | enc)" ;; esac
  case $2 in *m*) a="$a
.m $(sum md5sum "$1")" ;; esac
  case $2 in *h*) a="$a
.h $(sum sha256sum "$1")" ;; esac
  case $2 in *H*) a="$a
.H $(sum sha512sum "$1")" ;; esac
}
sum() {
  v=$(limit "$T" $r "$1" -- "$2" 2>/dev/null) || return
  v=${v%% *}
  printf '%s' "${v#\\}"
}

ask_package() {
  begin
  if [ -e /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null 2>&1; then
    m=dpkg
    v=$(limit "$T" dpkg-query -W -f '${Status} ${Version}\n' -- "$1" 2>&1)
  elif command -v rpm >/dev/null 2>&1; then
    m=rpm
    v=$(limit "$T" rpm -q --nosignature --nodigest --qf '%{VERSION}\n' -- "$1" 2>&1)
  elif command -v apk >/dev/null 2>&1; then
    m=apk
    v=$(limit "$T" apk info -e -v -- "$1" 2>&1)
  else
    m=none v=
  fi
  a=".s $?
.m $m
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  answer
}

ask_service() {
  begin
  if command -v systemctl >/dev/null 2>&1; then
    v=$(limit "$T" systemctl show --no-pager -p LoadState -p ActiveState -p UnitFileState -- "$1" 2>&1)
    a=".s $?
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  else
    a='.s none'
  fi
  answer
}

ask_systemd() {
  begin
  if command -v systemctl >/dev/null 2>&1; then
    v=$(limit "$T" systemctl list-units --state=failed --plain --no-legend --no-pager --full 2>&1)
    a=".s $?
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  else
    a='.s none'
  fi
  answer
}

# $1: tcp, tcp6, udp or udp6; $2: the port in hexadecimal; $3: the state that means listening.
ask_port() {
  begin
  if [ -r "/proc/net/$1" ]; then
    a=".x 1
.o
$(grep -i ": [0-9a-f]*:$2 [0-9a-f]*:[0-9a-f]* $3 " "/proc/net/$1" | head -c 65536 | enc)"
  elif [ -r /proc/net/tcp ]; then
    a='.x 0'
  else
    a='.x ?'
  fi
  answer
}

ask_user() {
  begin
  f=
  if [ -r /etc/passwd ]; then
    a='.x 0'
    while IFS= read -r l || [ -n "$l" ]; do
      case $l in "$1":*)
        f=$l
        break
        ;;
      esac
    done </etc/passwd
  else
    a='.x ?'
  fi
  if [ -n "$f" ]; then
    a=".x 1
.p
$(printf '%s' "$f" | enc)"
    if [ -n "$2" ]; then
      v=$(limit "$T" id -Gn -- "$1" 2>&1)
      a="$a
.s $?
.g
$(printf '%s' "$v" | enc)"
    fi
  fi
  answer
}

ask_process() {
  begin
  a='.x 0'
  for q in /proc/[0-9]*; do
    c=
    { read -r c <"$q/comm"; } 2>/dev/null
    if [ "$c" = "$1" ]; then
      a='.x 1'
      break
    fi
  done
  [ "$a" = '.x 0' ] && [ ! -r /proc/1/comm ] && a='.x ?'
  answer
}

# Its folder in /run is made before sshd starts (by the systemd generator, or by the first init script): where it is missing, cloud-init
# does not run in this boot, installed or not.
cloud_init_state() {
  if [ -e /run/cloud-init/result.json ]; then
    C=1
  elif [ -e /run/cloud-init/disabled ]; then
    C=disabled
  elif [ -d /run/cloud-init ]; then
    C=0
  else
    C=absent
  fi
}
ask_cloud_init() {
  begin
  cloud_init_state
  a=".x $C"
  if [ "$C" = 1 ]; then
    r=
    [ ! -r /run/cloud-init/result.json ] && root && r=$S
    a="$a
.o
$($r head -c 65536 /run/cloud-init/result.json 2>/dev/null | enc)"
  fi
  answer
}
# Waits until cloud-init has finished. The empty line each time around ends this shell when nobody listens any more.
wait_cloud_init() {
  begin
  cloud_init_state
  while [ "$C" = 0 ]; do
    printf '\n' >&9
    sleep 0.1 2>/dev/null || sleep 1
    cloud_init_state
  done
  a=".x $C"
  answer
}
