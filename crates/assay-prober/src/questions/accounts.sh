# The lines of file $1 that may be about name $2 or, where it is given, about number $3, into f. Which of them are, is for the reader to say.
entries() {
  f=
  while IFS= read -r l || [ -n "$l" ]; do
    case $l in
    *"$2":*) f="$f$l
" ;;
    *) [ -n "$3" ] && case $l in *[:,]"$2"* | *:"$3":*) f="$f$l
" ;; esac ;;
    esac
  done <"$1"
}
