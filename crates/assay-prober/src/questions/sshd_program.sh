# The words of `sshd_says`, one after the other: $1 seconds, $2 sshd's -C or nothing.
LC_ALL=C
export LC_ALL
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
NL='
'
T=$1
if timeout -k 1 9 true 2>/dev/null; then
  bounded() { timeout -k 1 "$T" "$@"; }
elif timeout 9 true 2>/dev/null; then
  bounded() { timeout "$T" "$@"; }
else
  bounded() { "$@"; }
fi
sshd_says "$2"
printf '%s\n' "status $q" "why $Y" "match $M"
[ "$q" = 0 ] || printf '%s\n' "$e"
printf '%s\n' "$v"
