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

# Only inside $(…): runs a command within $T seconds, with messages in English.
plain() {
  LC_ALL=C
  export LC_ALL
  limit "$T" "$@"
}

# Adds field $1 with text $2 to the answer. A short one goes as it is, each line behind a mark, and costs no process.
part() {
  a="$a
.$1"
  if [ "${#2}" -gt 4096 ]; then
    a="$a
$(printf '%s' "$2" | head -c 65536 | enc)"
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
