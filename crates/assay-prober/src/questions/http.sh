# One request. $1: configuration for curl; $2: the request for Python, as JSON; $3: the address for wget, or nothing where wget cannot make
# this request; $4: whether wget follows redirects; the rest: options of wget. X: a file on the host that it needs, on each line; Y: whether
# an answer may come packed; K: how much of a body is kept.
ask_http() {
  begin
  while IFS= read -r q; do
    if [ -n "$q" ] && [ ! -r "$q" ] && root && $S test -r "$q"; then r=$S; fi
  done <<FILES
$X
FILES
  for t in curl python3 wget none; do
    [ "$t" = none ] && break
    [ "$t" = wget ] && [ -z "$3" ] && continue
    command -v "$t" >/dev/null 2>&1 || continue
    [ "$t" != curl ] || curl_is_able || continue
    break
  done
  a=".x $t"
  [ "$t" = none ] || http_parts "$@"
  answer
}
# Whether curl knows all that it is told here (7.43 does, of 2015): one that does not goes on with another request, and only warns. And whether it can
# open its stderr, to which the body goes: a shell may join commands by sockets (ksh93), and those cannot be opened.
curl_is_able() {
  if [ -z "$V" ]; then
    V=none
    [ -n "$(tee /dev/stderr </dev/null 2>&1 | cat)" ] || V=$(curl -V 2>/dev/null)
  fi
  x=${V#curl }
  x=${x%%[!0-9.]*}
  y=${x#*.}
  x=${x%%.*}
  y=${y%%.*}
  [ "${x:-0}" -gt 7 ] || { [ "${x:-0}" = 7 ] && [ "${y:-0}" -ge 43 ]; }
}
V=
# Takes the status, stdout (.h, the heads) and stderr (.b, the body), like ask_command.
http_parts() {
  v=$({ { {
    "http_$t" "$@" 2>&1 >&7 7>&- 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | {
    v=$(kept "$K" "$((T + 2))" | enc)
    put ".b$L$v$L"
  } >&8 7>&-; } 7>&1 | {
    v=$(kept 65536 "$((T + 4))" | enc)
    put ".h$L$v$L"
  } >&8; } 8>&1)
  a="$a
$v"
}
# What curl is to do comes by its standard input: a password in its arguments would be seen by everybody.
http_curl() {
  v=
  [ -n "$Y" ] && case $V in *libz*) v='compressed
header = "Accept-Encoding: gzip"
' ;; esac
  printf '%s%s' "$v" "$1" | within "$((T + 1))" curl -q -K -
}
http_python3() { printf '%s' "$2" | within "$((T + 1))" python3 -c "$PY"; }
# wget's two streams change places: it tells heads where others tell errors.
http_wget() {
  w=$3 l=$4
  shift 4
  case $(wget --help 2>&1) in
  *--content-on-error*)
    [ -n "$l" ] && l=--max-redirect=9 || l=--max-redirect=0
    limit "$T" wget -t 1 -S -O - --content-on-error "$l" "$@" -- "$w" 3>&1 1>&2 2>&3 3>&-
    ;;
  *)
    # busybox's follows always, and looks at no certificate.
    [ -n "$l" ] || return 96
    case $w:$* in http:* | *--no-check-certificate*) ;; *) return 97 ;; esac
    limit "$T" wget -S -O - "$@" -- "$w" 3>&1 1>&2 2>&3 3>&-
    ;;
  esac
}
