# Whether "there is no $1" may only mean "this user may not look there": the nearest folder above it that can be looked at, links followed.
hidden() {
  d=${1%/*} n=0
  while [ -n "$d" ]; do
    if [ -d "$d" ]; then
      [ -x "$d" ] && return 1
      return 0
    fi
    if [ -L "$d" ]; then
      n=$((n + 1))
      # Links in a circle lead nowhere, for root too.
      [ "$n" -le 40 ] || return 1
      l=$(readlink -- "$d") || return 0
      case $l in
      /*) d=$l ;;
      *) d=${d%/*}/$l ;;
      esac
      continue
    fi
    d=${d%/*}
  done
  return 1
}

# What stat says of several files at once, into F, for the questions that follow. One that is missing there is asked about alone.
F=
files_ahead() {
  F="$L$L$(limit "$T" stat -c '%n
=%f %s %u %g
=%U
=%G' -- "$@" 2>/dev/null)$L"
}
# stat's words about $1 into t, within the time: it may lie on a server that does not answer.
file_stat() {
  t=$(within "$T" stat -c '=%f %s %u %g
=%U
=%G' -- "$1" 2>/dev/null)
}

# $2: which of c(ontents) m(d5) h(sha256) H(sha512) are wanted too; $3: how much of the contents.
ask_file() {
  begin
  case $F in
  *"$L$1$L"*)
    t=${F#*"$L$1$L"}
    t=${t%%"$L/"*}
    q=0
    ;;
  *)
    file_stat "$1"
    q=$?
    ;;
  esac
  case $q in
  0) a='.x 1' ;;
  124 | 137 | 143) a='.x late' ;;
  *)
    if [ -e "$1" ] || [ -L "$1" ]; then
      a='.x 1'
    elif hidden "$1"; then
      file_as_root "$1"
    else
      a='.x 0'
    fi
    ;;
  esac
  if [ "$a" = '.x 1' ]; then
    a="$a
.t
$t"
    if [ -L "$1" ] || { [ -n "$r" ] && $r test -L "$1"; }; then
      a="$a
.l
$(told within "$T" readlink -- "$1")"
    else
      part l 'end 0'
    fi
    [ -n "$2" ] && file_data "$@"
  fi
  answer
}
# The same where only root can look. A sudo that fails has said nothing.
file_as_root() {
  a='.x ?'
  root || return
  r=$S
  v=$(within "$T" sh -c 'if [ -e "$1" ] || [ -L "$1" ]; then echo yes; else echo no; fi' sh "$1" 2>/dev/null)
  case $v in
  yes)
    a='.x 1'
    file_stat "$1"
    ;;
  no) a='.x 0' ;;
  *) a='.x late' ;;
  esac
}
# A path below the home of user $1, who is looked for where goss's own binary looks; $2: the rest; $3 and $4 as for ask_file.
ask_home() {
  h=
  if [ -r /etc/passwd ]; then
    while IFS=: read -r u x x x x d x; do
      [ "$u" = "$1" ] && h=$d && break
    done </etc/passwd
    if [ -n "$h" ]; then
      ask_file "$h$2" "$3" "$4"
      return
    fi
    a='.x 0'
  else
    a='.x ?'
  fi
  begin
  answer
}
file_data() {
  if [ -z "$r" ] && [ ! -r "$1" ] && root; then r=$S; fi
  if ! $r test -r "$1"; then
    # What a link points at may be nowhere, or only hidden.
    l=$($r readlink -- "$1")
    case $l in '' | /*) ;; *) l=${1%/*}/$l ;; esac
    if [ -n "$l" ] && ! $r test -e "$1" && { [ -n "$r" ] || ! hidden "$l"; }; then
      a="$a
.c -"
    else
      a="$a
.c ?"
    fi
    return
  fi
  # A folder and a socket have no contents. A pipe or a device may have some, or none ever.
  if $r test -d "$1" || $r test -S "$1"; then
    a="$a
.c -"
    return
  fi
  if ! $r test -f "$1"; then
    within "$T" head -c "$3" -- "$1" >/dev/null 2>&1 || {
      a="$a
.c late"
      return
    }
  fi
  case $2 in *c*) a="$a
.c
$(told within "$T" head -c "$3" -- "$1")" ;; esac
  case $2 in *m*) a="$a
.m $(sum md5sum "$1")" ;; esac
  case $2 in *h*) a="$a
.h $(sum sha256sum "$1")" ;; esac
  case $2 in *H*) a="$a
.H $(sum sha512sum "$1")" ;; esac
}
sum() {
  v=$(within "$T" "$1" -- "$2" 2>/dev/null) || return
  v=${v%% *}
  printf '%s' "${v#\\}"
}
