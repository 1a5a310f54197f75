# The command's stdout, stderr and status. $3: which of o(utput) and e(rrors) are wanted; what is not goes nowhere, and costs no process. Where both
# are, the three leave through one pipe one after the other: stdout's reader sees its end only when stderr's is done, or, where a process that outlives
# the command holds both, has two seconds more.
ask_command() {
  begin
  case $3 in
  oe) a=$({ { {
    limit "$T" sh -c "$1" 2>&1 >&7 7>&- 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | heard e "$2" "$((T + 2))" >&8 7>&-; } 7>&1 | heard o "$2" "$((T + 4))" >&8; } 8>&1) ;;
  o) a=$({ {
    limit "$T" sh -c "$1" 2>/dev/null 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | heard o "$2" "$((T + 2))" >&8; } 8>&1) ;;
  e) a=$({ {
    limit "$T" sh -c "$1" 2>&1 >/dev/null 8>&- 9>&-
    printf '.s %s\n' "$?" >&8
  } | heard e "$2" "$((T + 2))" >&8; } 8>&1) ;;
  *)
    limit "$T" sh -c "$1" >/dev/null 2>&1 9>&-
    a=".s $?"
    ;;
  esac
  answer
}
# Field $1 from stdin, of which $2 bytes are wanted, within $3 seconds. od keeps them and makes them text in one; whatever is more is read too, so that
# the writer never notices. (A busybox may have an od that knows neither of these options.)
if [ "$(printf x | od -An -v -tx1 -N 1 2>/dev/null)" = ' 78' ]; then
  heard() {
    v=$(limit "$3" od -An -v -tx1 -N "$2" 2>/dev/null)
    put ".$1$L$v$L"
    [ "${#v}" -ge "$(($2 * 3))" ] && limit "$3" cat >/dev/null 2>&1
  }
else
  heard() {
    v=$(kept "$2" "$3" | enc)
    put ".$1$L$v$L"
  }
fi
