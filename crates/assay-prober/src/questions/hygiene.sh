# $@: the sections to look through (hygiene/program.sh). They are root's to see.
ask_hygiene() {
  begin
  a='.x 1'
  if [ "$(id -u)" != 0 ]; then
    if root; then r=$S; else a='.x ?'; fi
  fi
  if [ "$a" = '.x 1' ]; then
    a="$a
.o
$(hygiene_program | within "$((T * 3 + 9))" sh -s -- "$T" "$@" 2>/dev/null | enc)"
  fi
  answer
}
