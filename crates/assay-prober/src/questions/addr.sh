# Whether a connection can be made: what Python, Perl, bash, nc and curl can say, in an order where the later ones can say less.
# $1: tcp, tcp4, tcp6 or udp; $2: host; $3: port; $4: local address or nothing; $5: the time in seconds with a fraction.
ask_addr() {
  begin
  w=none
  for t in python3 perl bash nc curl; do
    command -v "$t" >/dev/null 2>&1 || continue
    "addr_$t" "$@" && break
  done
  a=".x $w
.t $t"
  answer
}
# Each sets w to 1 or 0, or returns with 1 where it cannot tell.
addr_python3() {
  v=$(limit "$((T + 2))" python3 -c '
import socket, sys, time
network, host, port, local, limit = sys.argv[1:]
end = time.monotonic() + float(limit)
family = {"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}.get(network, 0)
kind = socket.SOCK_DGRAM if network == "udp" else socket.SOCK_STREAM
try:
    found = socket.getaddrinfo(host or "localhost", port, family, kind)
except (OSError, UnicodeError):
    found = []
for family, kind, protocol, _, address in found:
    try:
        with socket.socket(family, kind, protocol) as it:
            it.settimeout(max(end - time.monotonic(), 0.001))
            if local:
                it.bind((local, 0))
            it.connect(address)
        print("yes")
        sys.exit()
    except OSError:
        pass
print("no")' "$@" 2>/dev/null)
  addr_said "$v"
}
addr_perl() {
  v=$(limit "$T" perl -e '
use strict;
use Socket qw(:DEFAULT :addrinfo AF_INET6 IPPROTO_TCP);
my ($network, $host, $port, $local) = @ARGV;
my $kind = $network eq "udp" ? SOCK_DGRAM : SOCK_STREAM;
my $family = $network eq "tcp4" ? AF_INET : $network eq "tcp6" ? AF_INET6 : AF_UNSPEC;
my ($error, @found) = getaddrinfo(length $host ? $host : "localhost", $port, {socktype => $kind, family => $family});
for (@found) {
  socket(my $it, $_->{family}, $_->{socktype}, $_->{protocol}) or next;
  if (length $local) {
    my ($wrong, $own) = getaddrinfo($local, 0, {socktype => $kind, family => $_->{family}, flags => AI_NUMERICHOST});
    next if $wrong || !$own || !bind($it, $own->{addr});
  }
  if (connect($it, $_->{addr})) { print "yes"; exit }
}
print "no"' "$@" 2>/dev/null)
  q=$?
  case $q in 124 | 137 | 143) v=no ;; esac
  addr_said "$v"
}
addr_said() {
  case $1 in
  yes) w=1 ;;
  no) w=0 ;;
  *) return 1 ;;
  esac
}
addr_bash() {
  [ -n "$4" ] && return 1
  case $1 in
  tcp | udp) ;;
  *) return 1 ;;
  esac
  v=$(plain bash -c 'exec 3<>"/dev/$0/$1/$2"' "$1" "${2:-localhost}" "$3" 2>&1)
  q=$?
  # A bash that was built without this opens a file.
  case $q:$v in
  0:*) w=1 ;;
  *"No such file or directory"*) return 1 ;;
  *) w=0 ;;
  esac
}
addr_nc() {
  [ "$1" = tcp ] || return 1
  case $(nc -h 2>&1) in
  *BusyBox*"-e PROG"*)
    # Where it connects, it runs this.
    [ -n "$4" ] && return 1
    limit "$T" nc -w "$T" "${2:-localhost}" "$3" -e true >/dev/null 2>&1 && w=1 || w=0
    ;;
  *-z*)
    limit "$T" nc -z -w "$T" ${4:+-s "$4"} "${2:-localhost}" "$3" >/dev/null 2>&1 && w=1 || w=0
    ;;
  *) return 1 ;;
  esac
}
addr_curl() {
  [ "$1" = tcp ] || return 1
  case $2 in *:*) q="[$2]" ;; *) q=${2:-localhost} ;; esac
  limit "$T" curl -q -s --connect-timeout "$5" --noproxy '*' ${4:+--interface "$4"} "telnet://$q:$3" >/dev/null 2>&1
  # Its own codes: 6 no such host, 7 no connection, 28 too late, 45 no such local address. It waits for the other side, until it is ended.
  case $? in
  0 | 124 | 137 | 143 | 56) w=1 ;;
  6 | 7 | 28 | 45) w=0 ;;
  *) return 1 ;;
  esac
}
