# $1: a file below /proc/sys.
ask_kernel_param() {
  begin
  r=
  [ -f "$1" ] && [ ! -r "$1" ] && root && r=$S
  if [ ! -d /proc/sys/kernel ]; then
    a='.x ?'
  elif [ ! -f "$1" ]; then
    a='.x 0'
  elif v=$($r head -c 65536 "$1" 2>/dev/null | enc) && [ -n "$v" ] || $r cat "$1" >/dev/null 2>&1; then
    a=".x 1
.o
$v"
  else
    a='.x -'
  fi
  answer
}
