# Whether "there is no $1" may only mean "this user may not look there".
hidden() {
  d=${1%/*}
  while [ -n "$d" ]; do
    if [ -d "$d" ]; then
      [ -x "$d" ] && return 1
      return 0
    fi
    d=${d%/*}
  done
  return 1
}

# What stat says of several files at once, into F, for the questions that follow. One that is missing there is asked about alone.
F=
files_ahead() {
  F="$L$L$(stat -c '%n
=%f %s %u %g
=%U
=%G' -- "$@" 2>/dev/null)$L"
}

# $2: which of c(ontents) m(d5) h(sha256) H(sha512) are wanted too; $3: how much of the contents.
ask_file() {
  begin
  r=
  if [ -e "$1" ] || [ -L "$1" ]; then
    a='.x 1'
  elif hidden "$1"; then
    if ! root; then
      a='.x ?'
    else
      r=$S
      if $r test -e "$1" || $r test -L "$1"; then a='.x 1'; else a='.x 0'; fi
    fi
  else
    a='.x 0'
  fi
  if [ "$a" = '.x 1' ]; then
    a="$a
.t
"
    case $r$F in
    "$L"*"$L$1$L"*)
      l=${F#*"$L$1$L"}
      a="$a${l%%"$L/"*}"
      ;;
    *)
      a="$a$($r stat -c '=%f %s %u %g
=%U
=%G' -- "$1" 2>/dev/null)"
      ;;
    esac
    if [ -n "$r" ] || [ -L "$1" ]; then
      a="$a
.l
$($r readlink -- "$1" 2>/dev/null | enc)"
    else
      part l ''
    fi
    [ -n "$2" ] && file_data "$@"
  fi
  answer
}
# A path below the home of user $1, who is looked for where goss's own binary looks; $2: the rest; $3 and $4 as for ask_file.
ask_home() {
  h=
  while IFS=: read -r u x x x x d x; do
    [ "$u" = "$1" ] && h=$d && break
  done </etc/passwd
  if [ -n "$h" ]; then
    ask_file "$h$2" "$3" "$4"
  else
    begin
    a='.x 0'
    answer
  fi
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
    limit "$T" $r head -c "$3" -- "$1" >/dev/null 2>&1 || {
      a="$a
.c late"
      return
    }
  fi
  case $2 in *c*) a="$a
.c
$(limit "$T" $r head -c "$3" -- "$1" 2>/dev/null | enc)" ;; esac
  case $2 in *m*) a="$a
.m $(sum md5sum "$1")" ;; esac
  case $2 in *h*) a="$a
.h $(sum sha256sum "$1")" ;; esac
  case $2 in *H*) a="$a
.H $(sum sha512sum "$1")" ;; esac
}
sum() {
  v=$(limit "$T" $r "$1" -- "$2" 2>/dev/null) || return
  v=${v%% *}
  printf '%s' "${v#\\}"
}
