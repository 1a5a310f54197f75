# $1: tcp, tcp6, udp or udp6; $2: the port in hexadecimal; $3: the state that means listening.
ask_port() {
  begin
  if [ -r "/proc/net/$1" ]; then
    a=".x 1
.o
$(grep -i ": [0-9a-f]*:$2 [0-9a-f]*:[0-9a-f]* $3 " "/proc/net/$1" | head -c 65536 | enc)"
  elif [ -r /proc/net/tcp ]; then
    a='.x 0'
  else
    a='.x ?'
  fi
  answer
}
