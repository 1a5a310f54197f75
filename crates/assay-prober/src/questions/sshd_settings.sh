# What the server that runs here was told: `sshd -T` together with the settings of the server's own command line, which sshd -T by itself does not
# know. RHEL 8 and its kin give the server its ciphers there; OPTIONS in /etc/sysconfig/sshd and SSHD_OPTS in /etc/default/ssh end there too.
# `bounded` runs a command within the time.

# Process $1: its name into C and its parent into U.
process_of() {
  C= U=0
  { IFS= read -r C <"/proc/$1/comm" && IFS= read -r l <"/proc/$1/stat"; } 2>/dev/null || return
  l=${l##*\) }
  l=${l#* }
  U=${l%% *}
}
# The server's process into P: the one that this login came through, else the only one beside this shell. Why it is not known into Y.
sshd_process() {
  P= Y= p=$$
  while [ "$p" -gt 1 ]; do
    process_of "$p"
    case $C in sshd | sshd-session | sshd-auth) P=$p ;; esac
    p=$U
  done
  [ -z "$P" ] || return
  here=$(readlink /proc/self/ns/mnt)
  for f in /proc/[0-9]*/comm; do
    c=
    { IFS= read -r c <"$f"; } 2>/dev/null
    [ "$c" = sshd ] || continue
    p=${f#/proc/}
    p=${p%/comm}
    # A container's server is another host's.
    there=$(readlink "/proc/$p/ns/mnt" 2>/dev/null)
    [ -z "$there" ] || [ "$there" = "$here" ] || continue
    process_of "$p"
    process_of "$U"
    case $C in sshd*) continue ;; esac
    [ -z "$P" ] || Y='several SSH servers run, and this login came through none of them'
    P=$p
  done
}
# Its command line, a word on each line, into W: OpenSSH writes it anew ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"). Nothing where the
# process serves one connection only (by socket or inetd): its words are gone then.
sshd_words() {
  W=
  [ -n "$P" ] || return
  W=$(tr '\0' '\n' <"/proc/$P/cmdline" 2>/dev/null)
  case $W in
  'sshd: '*' [listener]'*)
    W=${W#sshd: }
    set -f
    # shellcheck disable=SC2086 # its words
    W=$(printf '%s\n' ${W%% \[listener\]*})
    set +f
    ;;
  'sshd: /'*) Y="the command line of the SSH server (process $P) cannot be read whole" W= ;;
  /*) ;;
  *) W= ;;
  esac
}
# Settings that a server is started with, where no process shows them.
sshd_unseen() {
  for f in /etc/default/ssh /etc/sysconfig/sshd /etc/sysconfig/ssh /etc/crypto-policies/back-ends/opensshserver.config; do
    [ -r "$f" ] || continue
    if grep -q -E "^[[:space:]]*(SSHD_OPTS|OPTIONS|CRYPTO_POLICY)=[\"']?[^\"'[:space:]#]" "$f"; then
      Y="$f gives the SSH server settings, and no process shows with which it was started"
    fi
  done
}
# $1: -C's words, or nothing. What sshd -T says into v, its status into q, its complaints into e; into Y why that is not the running server's word;
# into M what -C was given where nobody asked for it: servers before OpenSSH 8.2 or so do not answer without it where sshd_config has Match blocks.
sshd_says() {
  m=$1 M= v= e= q=none
  sshd_process
  sshd_words
  [ -n "$W" ] || sshd_unseen
  program=${W%%"$NL"*}
  [ -x "$program" ] || program=$(command -v sshd) || return
  set --
  n=program
  while IFS= read -r w; do
    case $n:$w in
    program:* | drop:*) n= ;;
    take:*)
      set -- "$@" "$w"
      n=
      ;;
    :-[ofhcpug])
      set -- "$@" "$w"
      n=take
      ;;
    :-[ofhcpug]* | :-4 | :-6) set -- "$@" "$w" ;;
    :-[EbkC]) n=drop ;;
    : | :-[EbkC]*) ;;
    :-*[!DdeiqrtTRG]*) Y="the SSH server was started with $w, which cannot be asked about" ;;
    :-*) ;;
    *) Y="the SSH server was started with $w, which cannot be asked about" ;;
    esac
  done <<WORDS
$W
WORDS
  sshd_asked "$@"
  case $m:$e in
  :*'connection test specification'*)
    # Nobody, from nowhere: what a block says of some is not what the server does with all.
    M='user=nobody-of-this-name,host=host.invalid,addr=192.0.2.1,laddr=192.0.2.2,lport=22'
    m=$M
    sshd_asked "$@"
    ;;
  esac
}
sshd_asked() {
  [ -z "$m" ] || set -- "$@" -C "$m"
  v=$(bounded "$program" -T "$@" 2>/dev/null)
  q=$?
  e=
  [ "$q" = 0 ] || e=$(bounded "$program" -T "$@" 2>&1 >/dev/null)
}
