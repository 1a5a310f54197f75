# Every socket that listens (TCP's state 0A) or takes datagrams from anybody (UDP's 07), and, where root can tell, whose it is.
# The sockets of table $1 in state $2. A protocol that the kernel does not speak (IPv6) has no table, and so none.
sockets_of() {
  if [ -e "$1" ]; then
    told grep -i ": [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* $2 " "$1"
  else
    told :
  fi
}
ask_listening() {
  begin
  if [ -r /proc/net/tcp ] || [ -r /proc/net/tcp6 ]; then
    a='.x 1'
    a="$a
.t
$(sockets_of /proc/net/tcp 0a)
.T
$(sockets_of /proc/net/tcp6 0a)
.u
$(sockets_of /proc/net/udp 07)
.U
$(sockets_of /proc/net/udp6 07)"
    if [ "$(id -u)" != 0 ] && root; then r=$S; fi
    # ls takes all processes at once; a shell that asked each would take a hundred times as long.
    a="$a
.f
$(within "$T" sh -c 'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -E "^/proc/|socket:" | head -c 400000' 2>/dev/null | enc)
.n
$(grep -a -H . /proc/[0-9]*/comm 2>/dev/null | head -c 65536 | enc)"
  else
    a='.x ?'
  fi
  answer
}
