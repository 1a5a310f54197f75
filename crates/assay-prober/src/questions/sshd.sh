# $1: sshd's -C, or nothing. The settings are root's to see, and so is the server's process where /proc hides others'.
ask_sshd() {
  begin
  if [ "$(id -u)" != 0 ] && root; then r=$S; fi
  a=".o
$(told within "$((T * 3))" sh -c "$(sshd_program)" sh "$T" "$1")"
  answer
}
