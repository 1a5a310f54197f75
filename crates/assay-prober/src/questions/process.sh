# The names of all processes, one a line, are looked up once for all questions of a script, into P.
processes() {
  P='
'
  for q in /proc/[0-9]*; do
    c=
    { IFS= read -r c <"$q/comm"; } 2>/dev/null && P="$P${c%%\)*}
"
  done
  # Where others' processes are hidden (the option hidepid of /proc), so is the first one.
  if [ ! -r /proc/1/comm ]; then
    P=
    if root; then
      r=$S
      v=$(within "$T" sh -c 'cat /proc/[0-9]*/comm; echo ")end"' 2>/dev/null)
      # Without the mark it is not the whole list. No name goes on behind a bracket.
      case $v in *"$L)end") P="$L$(put "${v%?end}" | sed 's/).*//')$L" ;; esac
    fi
  fi
}
P=
ask_process() {
  begin
  [ -z "$P" ] && processes
  case $P in
  *"
$1
"*) a='.x 1' ;;
  '' | "$L") a='.x ?' ;;
  *) a='.x 0' ;;
  esac
  answer
}
