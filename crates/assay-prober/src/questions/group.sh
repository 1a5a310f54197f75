ask_group() {
  begin
  if [ -r /etc/group ]; then
    entries /etc/group "$1" ''
    a=".x 1"
    part g "$f"
  else
    a='.x ?'
  fi
  answer
}
