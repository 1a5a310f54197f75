# Every socket that listens (TCP's state 0A) or takes datagrams from anybody (UDP's 07), and, where root can tell, whose it is.
ask_listening() {
  begin
  if [ -r /proc/net/tcp ] || [ -r /proc/net/tcp6 ]; then
    a='.x 1'
    a="$a
.t
$(grep -i ': [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* 0a ' /proc/net/tcp 2>/dev/null | head -c 65536 | enc)
.T
$(grep -i ': [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* 0a ' /proc/net/tcp6 2>/dev/null | head -c 65536 | enc)
.u
$(grep -i ': [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* 07 ' /proc/net/udp 2>/dev/null | head -c 65536 | enc)
.U
$(grep -i ': [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* 07 ' /proc/net/udp6 2>/dev/null | head -c 65536 | enc)"
    r=
    if [ "$(id -u)" != 0 ] && root; then r=$S; fi
    # ls takes all processes at once; a shell that asked each would take a hundred times as long.
    a="$a
.f
$(limit "$T" $r sh -c 'ls -l /proc/[0-9]*/fd 2>/dev/null | grep -E "^/proc/|socket:" | head -c 400000' 2>/dev/null | enc)
.n
$(grep -a -H . /proc/[0-9]*/comm 2>/dev/null | head -c 65536 | enc)"
  else
    a='.x ?'
  fi
  answer
}
