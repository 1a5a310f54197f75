# $1: tcp, tcp6, udp or udp6; $2: the port in hexadecimal; $3: the state that means listening. The sockets in such states are looked up once for
# all questions of a script: most ports that are asked about are not among them.
ask_port() {
  begin
  if [ -r "/proc/net/$1" ]; then
    eval "v=\${V_$1-}"
    if [ -z "$v" ]; then
      v=none$(grep -i ": [0-9a-f]*:[0-9a-f]* [0-9a-f]*:[0-9a-f]* $3 " "/proc/net/$1")
      [ "$?" -gt 1 ] && v=unread
      eval "V_$1=\$v"
    fi
    a='.x 1'
    case $v in
    unread) a='.x ?' ;;
    *":$2 "*) a="$a
.o
$(told grep -i ": [0-9a-f]*:$2 [0-9a-f]*:[0-9a-f]* $3 " "/proc/net/$1")" ;;
    *) part o 'end 0' ;;
    esac
  elif [ -r /proc/net/tcp ]; then
    a='.x 0'
  else
    a='.x ?'
  fi
  answer
}
