# $1, $2: the mount point in the two ways that kernels write it; $3: the same as it is; $4: whether usage is wanted.
ask_mount() {
  begin
  if [ -r /proc/self/mountinfo ]; then
    f=
    while read -r q q q q p l; do
      case $p in "$1" | "$2")
        f="$p $l"
        break
        ;;
      esac
    done </proc/self/mountinfo
    a=".x 1
.o
$(printf '%s' "$f" | enc)"
    if [ -n "$f" ] && [ -n "$4" ]; then
      v=$(limit "$T" stat -f -c '%b %f' -- "$3" 2>/dev/null) || { root && r=$S && v=$(within "$T" stat -f -c '%b %f' -- "$3" 2>/dev/null); }
      a="$a
.u $v"
    fi
  else
    a='.x ?'
  fi
  answer
}
