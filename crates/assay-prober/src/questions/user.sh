# $2: whether the groups are wanted.
ask_user() {
  begin
  if [ -r /etc/passwd ]; then
    entries /etc/passwd "$1" ''
    a=".x 1"
    part p "$f"
    if [ -n "$2" ] && [ -r /etc/group ]; then
      l="
$f"
      l=${l#*"
$1":*:*:}
      entries /etc/group "$1" "${l%%:*}"
      part g "$f"
    fi
  else
    a='.x ?'
  fi
  answer
}
