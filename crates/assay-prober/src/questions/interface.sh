# $2: whether the addresses are wanted.
ask_interface() {
  begin
  if [ ! -d /sys/class/net ]; then
    a='.x ?'
  elif [ ! -d "/sys/class/net/$1" ]; then
    a='.x 0'
  else
    v=
    { read -r v <"/sys/class/net/$1/mtu"; } 2>/dev/null
    a=".x 1
.m ${v:--}"
    if [ -n "$2" ]; then
      if command -v ip >/dev/null 2>&1; then
        v=$(limit "$T" ip addr show dev "$1" 2>&1)
        a="$a
.s $?"
        part o "$v"
      else
        a="$a
.s none"
      fi
    fi
  fi
  answer
}
