ask_group() {
  begin
  if [ -r /etc/group ]; then
    entries /etc/group "$1" ''
    a=".x 1
.g
$(printf '%s' "$f" | head -c 65536 | enc)"
  else
    a='.x ?'
  fi
  answer
}
