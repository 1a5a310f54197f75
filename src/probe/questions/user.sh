ask_user() {
  begin
  f=
  if [ -r /etc/passwd ]; then
    a='.x 0'
    while IFS= read -r l || [ -n "$l" ]; do
      case $l in "$1":*)
        f=$l
        break
        ;;
      esac
    done </etc/passwd
  else
    a='.x ?'
  fi
  if [ -n "$f" ]; then
    a=".x 1
.p
$(printf '%s' "$f" | enc)"
    if [ -n "$2" ]; then
      v=$(limit "$T" id -Gn -- "$1" 2>&1)
      a="$a
.s $?
.g
$(printf '%s' "$v" | enc)"
    fi
  fi
  answer
}
