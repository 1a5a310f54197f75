ask_process() {
  begin
  a='.x 0'
  for q in /proc/[0-9]*; do
    c=
    { read -r c <"$q/comm"; } 2>/dev/null
    if [ "$c" = "$1" ]; then
      a='.x 1'
      break
    fi
  done
  [ "$a" = '.x 0' ] && [ ! -r /proc/1/comm ] && a='.x ?'
  answer
}
