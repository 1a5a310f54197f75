# Which tool knows the packages, into M: the distribution's own, else the first one there is.
package_manager() {
  distribution
  case $D in
  ubuntu | debian) M=dpkg ;;
  redhat) M=rpm ;;
  alpine) M=apk ;;
  arch) M=pacman ;;
  esac
  for q in $M dpkg rpm apk pacman; do
    [ "$q" = dpkg ] && q=dpkg-query
    command -v "$q" >/dev/null 2>&1 && M=${q%-query} && return
  done
  M=none
}
M= K=
# What dpkg says of several packages at once, into K, for the questions that follow. One that is missing there, or there twice, is asked about alone.
packages_ahead() {
  [ -z "$M" ] && package_manager
  [ "$M" = dpkg ] && K=$(plain dpkg-query -f '\n${Package}\t${Status} ${Version}\n' -W -- "$@" 2>/dev/null)$L
}
ask_package() {
  begin
  [ -z "$M" ] && package_manager
  l="$L$1	"
  case $K in
  *"$l"*"$l"*) ;;
  *"$l"*)
    v=${K#*"$l"}
    a=".s 0
.m dpkg"
    part o "${v%%"$L"*}"
    answer
    return
    ;;
  esac
  case $M in
  dpkg) v=$(plain dpkg-query -f '${Status} ${Version}\n' -W -- "$1" 2>&1) ;;
  rpm) v=$(plain rpm -q --nosignature --nodigest --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- "$1" 2>&1) ;;
  apk) v=$(limit "$T" apk info -e -v -- "$1" 2>&1) ;;
  pacman) v=$(plain pacman -Q --color never --noconfirm -- "$1" 2>&1) ;;
  *) v= ;;
  esac
  a=".s $?
.m $M"
  part o "$v"
  answer
}
