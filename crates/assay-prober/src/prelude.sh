PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
exec 9>&1 </dev/null >/dev/null

# put TEXT: writes it as it is. Where printf is a program and no part of the shell (mksh), a long text does not fit into its arguments.
case $(command -v printf) in
/*) put() { print -rn -- "$1"; } ;;
*) put() { printf %s "$1"; } ;;
esac

# Each answer leaves at once: header, fields, end mark. Fields are encoded, so nothing that a check prints can look like a mark.
answer() {
  up
  put "
$N $i ${s:--} ${u:--} $E
$a
$N .
" >&9
}

# Seconds since boot into u, without a process.
up() {
  u=
  { read -r u x </proc/uptime; } 2>/dev/null
}
begin() {
  up
  s=$u r=
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

# limit SECONDS COMMAND…: ends it when the time is over. within SECONDS COMMAND…: the same for a command that runs as r says; the clock runs so too,
# for nobody but root can end what runs as root.
if timeout -k 1 9 true 2>/dev/null; then
  limit() { timeout -k 1 "$@"; }
  within() { $r timeout -k 1 "$@"; }
elif timeout 9 true 2>/dev/null; then
  limit() { timeout "$@"; }
  within() { $r timeout "$@"; }
else
  # The process becomes the command, and a child of it looks after the time. (A command in the background would lose its standard input.)
  W='
      l=$0 p=$$
      {
        while [ "$l" -gt 0 ]; do
          sleep 1
          kill -0 "$p" || exit
          l=$((l - 1))
        done
        kill -9 "$p"
      } </dev/null >/dev/null 2>&1 7>&- 8>&- 9>&- &
      exec "$@"'
  limit() { sh -c "$W" "$@"; }
  within() { $r sh -c "$W" "$@"; }
fi

# Only inside $(…): runs a command within $T seconds, as r says, with messages in English.
plain() {
  LC_ALL=C
  export LC_ALL
  # What a tool leaves behind, such as the locks of old rpm databases, others must be able to read.
  umask 022
  if [ -n "$r" ]; then within "$T" env LC_ALL=C "$@"; else limit "$T" "$@"; fi
}

# Runs a command like plain: its output into v, its status into q and, where that is not 0, what it says on stderr into e.
said() {
  v=$(plain "$@" 2>/dev/null)
  q=$?
  e=
  case $q in
  0) ;;
  124 | 137 | 143) e='it did not end in time' ;;
  *) e=$(plain "$@" 2>&1 >/dev/null) ;;
  esac
}

# The output of a command as a field's text, and behind it the command's status: without that the output is not whole.
told() {
  {
    "$@"
    printf 'end %s' "$?"
  } 2>/dev/null | enc
}

# systemctl's words into v, e and q. What a user's systemctl is not told (no D-Bus, a policy of it or of SELinux), root's is: it speaks with
# systemd itself.
systemctl_said() {
  r=
  said systemctl "$@"
  if [ "$q" != 0 ] && [ "$(id -u)" != 0 ]; then
    case $e in *bus* | *denied* | *ermission* | *ermitted* | *"not been booted"* | *uthenti* | *onnect*)
      if root; then
        r=$S
        said systemctl "$@"
      fi
      ;;
    esac
  fi
}

# Adds field $1 with text $2 to the answer. A short one goes as it is, each line behind a mark, and costs no process.
part() {
  a="$a
.$1"
  if [ "${#2}" -gt 4096 ]; then
    a="$a
$(put "$2" | head -c 65536 | enc)"
    return
  fi
  x=$2
  while :; do
    l=${x%%"$L"*}
    a="$a
=$l"
    [ "$l" = "$x" ] && return
    x=${x#*"$L"}
  done
}
L='
'

# The first $1 bytes of stdin; the rest is read and dropped, so that the writer never notices. Ends after $2 seconds even when the pipe stays open.
kept() { limit "$2" head -c "$1" 2>/dev/null && limit "$2" cat >/dev/null 2>&1; }

# Whether sudo or doas works here without a password; asked once, only when needed.
S= Z=
root() {
  [ "$A" = auto ] || return 1
  if [ -z "$Z" ]; then
    Z=n
    for x in 'sudo -n' 'doas -n'; do
      command -v "${x%% *}" >/dev/null 2>&1 || continue
      if limit 9 $x true >/dev/null 2>&1; then
        Z=y S=$x
        break
      fi
    done
  fi
  [ "$Z" = y ]
}
