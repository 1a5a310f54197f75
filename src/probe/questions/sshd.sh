# $1: sshd's -C, or nothing.
ask_sshd() {
  begin
  if command -v sshd >/dev/null 2>&1; then
    r=
    if [ "$(id -u)" != 0 ] && root; then r=$S; fi
    v=$(limit "$T" $r sshd -T ${1:+-C "$1"} 2>&1)
    a=".s $?
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  else
    a='.s none'
  fi
  answer
}
