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
M= K= O=
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
  dpkg) set -- "$1" dpkg-query -f '${Status} ${Version}\n' -W -- "$1" ;;
  rpm) set -- "$1" rpm -q --nosignature --nodigest --qf '%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n' -- "$1" ;;
  apk) set -- "$1" apk info -e -v -- "$1" ;;
  pacman) set -- "$1" pacman -Q --color never --noconfirm -- "$1" ;;
  *) set -- "$1" : ;;
  esac
  shift
  said "$@"
  # A database that only root may read.
  if [ "$q" != 0 ] && [ "$(id -u)" != 0 ]; then
    case $e in *ermission* | *annot\ open* | *nable\ to\ * | *ould\ not\ open*)
      if root; then
        r=$S
        said "$@"
      fi
      ;;
    esac
  fi
  a=".s $q
.m $M"
  part o "$v"
  part e "$e"
  if [ "$q" = 1 ]; then
    [ -n "$O" ] || some_package
    a="$a
.n $O"
  fi
  answer
}
# Whether the database holds any package at all, into O: one that is gone holds none, and the tools do not say so.
some_package() {
  case $M in
  dpkg) v=$(plain dpkg-query -W 2>/dev/null | head -c 1) ;;
  rpm) v=$(plain rpm -qa --nosignature --nodigest --qf x 2>/dev/null | head -c 1) ;;
  apk) v=$(plain apk info 2>/dev/null | head -c 1) ;;
  pacman) v=$(plain pacman -Qq 2>/dev/null | head -c 1) ;;
  esac
  if [ -n "$v" ]; then O=some; else O=none; fi
}
