ask_package() {
  begin
  if [ -e /var/lib/dpkg/status ] && command -v dpkg-query >/dev/null 2>&1; then
    m=dpkg
    v=$(limit "$T" dpkg-query -W -f '${Status} ${Version}\n' -- "$1" 2>&1)
  elif command -v rpm >/dev/null 2>&1; then
    m=rpm
    v=$(limit "$T" rpm -q --nosignature --nodigest --qf '%{VERSION}\n' -- "$1" 2>&1)
  elif command -v apk >/dev/null 2>&1; then
    m=apk
    v=$(limit "$T" apk info -e -v -- "$1" 2>&1)
  else
    m=none v=
  fi
  a=".s $?
.m $m
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  answer
}
