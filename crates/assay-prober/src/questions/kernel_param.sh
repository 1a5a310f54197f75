# $1: a file below /proc/sys.
ask_kernel_param() {
  begin
  [ -f "$1" ] && [ ! -r "$1" ] && root && r=$S
  if [ ! -d /proc/sys/kernel ]; then
    a='.x ?'
  elif [ ! -f "$1" ]; then
    a='.x 0'
  else
    a=".x 1
.o
$(told within "$T" head -c 65536 "$1")"
  fi
  answer
}
