# What an image carries into its instances, looked for as root. Each line is a section's word and facts, with tabs between them; a section that
# looked everywhere ends with its word and a dot. No secret is printed: of a private key or a credential only where it stands, of a password only
# what kind of hash it is. R stands before every path of the image: nothing, but in tests. $1: the time for one search; $2: what the suite allows, a
# pattern of sh in each line; the rest: sections.
T=$1 A=$2
shift 2
R=
exec </dev/null 2>/dev/null
LC_ALL=C
export LC_ALL
NL='
'
TAB='	'
if timeout -k 1 9 true; then
  limit() { timeout -k 1 "$T" "$@"; }
elif timeout 9 true; then
  limit() { timeout "$T" "$@"; }
else
  limit() { "$@"; }
fi

# say WORD FACTS…: one line.
say() {
  w=$1
  shift
  for v; do w="$w$TAB$v"; done
  case $w in
    *"$NL"*) printf '%s' "$w" | tr '\n' '?' && printf '\n' ;;
    *) printf '%s\n' "$w" ;;
  esac
}
# lack WORD WHY: the section did not look everywhere. Nothing for WHY: its time was over.
lack() { printf '%s !%s\n' "$1" "$2" >&4; }
# looked WORD COMMAND…: a search within the time. Where it complains of more than files that came and went, WORD did not look everywhere.
looked() {
  w=$1
  shift
  {
    {
      limit "$@" 2>&1 >&3 3>&-
      printf 'ended %s\n' "$?"
    } | complaints "$w" 3>&-
  } 3>&1
}
complaints() {
  while IFS= read -r l; do
    case $l in
      'ended 124' | 'ended 137' | 'ended 143') lack "$1" '' ;;
      'ended 126' | 'ended 127') lack "$1" 'the host lacks a program for it' ;;
      'ended '* | *'No such file or directory'* | 'ERROR: ld.so: '* | *': warning: '* | *'loop detected'*) ;;
      *)
        lack "$1" "$l"
        # The rest is read and dropped, but for how it ended.
        while IFS= read -r l; do
          case $l in 'ended 124' | 'ended 137' | 'ended 143') lack "$1" '' ;; esac
        done
        ;;
    esac
  done
}
# kinds WORD LINE: into K, which kinds of findings a line is. Their numbers are counted apart, so that a flood of one hides no other.
kinds() {
  K=$1
  case $1 in
    files) kinds_of_file "$2" ;;
    shadow | sudo | hostkeys | cloud | logs)
      K=${2#*"$TAB"}
      K=${K%%"$TAB"*}
      ;;
  esac
}
# The properties that a file is told for, but those that the suite allows it for.
kinds_of_file() {
  K=
  rest=${1#*"$TAB"}
  mode=${rest%%"$TAB"*}
  rest=${rest#*"$TAB"*"$TAB"*"$TAB"}
  user=${rest%%"$TAB"*}
  rest=${rest#*"$TAB"}
  group=${rest%%"$TAB"*}
  path=${rest#*"$TAB"}
  case $mode in 8[4-9a-f]??)
    unless_allowed suid suid
    unless_allowed suid-files suid_files
    ;;
  esac
  case $mode in 8??[2367abef] | 4[014589cd]?[2367abef]) unless_allowed world-writable world_writable ;; esac
  case $mode$path in 4*/.git) unless_allowed git-directories git_directories ;; esac
  if nameless "$user" || nameless "$group"; then unless_allowed unowned unowned; fi
}
nameless() { case $1 in UNKNOWN) ;; '' | *[!0-9]*) return 1 ;; esac; }
unless_allowed() {
  for p in $A; do
    p=${p#"$1:"}
    # shellcheck disable=SC2254 # a pattern
    case $path in $p) return ;; esac
  done
  K="$K$NL$2"
}
# few WORD BYTES: of a section the first 300 lines of each kind, and how many more there were.
few() {
  cut -b "1-$2" | {
    # What the suite allows is one pattern a line, and a line is only divided into those.
    set -f
    IFS=$NL
    d= all=
    while read -r l; do
      case $l in
        "$1 .") d=1 ;;
        "$1 !"*) printf '%s\n' "$l" ;;
        *)
          kinds "$1" "$l"
          shown=
          for k in $K; do
            case $k in *[!a-z_]*) k=other ;; esac
            eval "c=\$((\${n_$k:-0} + 1)) n_$k=\$c"
            case "$all$NL" in *"$NL$k$NL"*) ;; *) all="$all$NL$k" ;; esac
            [ "$c" -gt 300 ] || shown=1
          done
          [ -n "$shown" ] && printf '%s\n' "$l"
          ;;
      esac
    done
    for k in $all; do
      eval "c=\$n_$k"
      [ "$c" -gt 300 ] && printf '%s +%s %s\n' "$1" "$((c - 300))" "$k"
    done
    [ -n "$d" ] && printf '%s .\n' "$1"
  }
}
changed() { stat -c %Y -- "$1" || echo 0; }
bytes() { stat -c %s -- "$1" || echo 0; }

# When this instance booted for the first time. This boot began with process 1: the kernel's own time is the host's in a container. An earlier
# boot is known from what cloud-init does once for each instance, some time after that boot began; where cloud-init does not run in this boot, what
# it left may be another instance's.
first_boot() {
  b=0
  while read -r k v x; do
    [ "$k" = btime ] && b=$v
  done </proc/stat
  read -r l </proc/1/stat
  set -- ${l##*\) }
  b=$((b + ${20:-0} / 100))
  f=$b
  e=
  [ -e /run/cloud-init/result.json ] && e=$(stat -c %Y -- "$R"/var/lib/cloud/instance/sem/* | sort -n | head -n 1)
  if [ -n "$e" ] && [ "$e" -lt "$b" ]; then f=$((e - 120)); fi
  say first "$f" "$(date +%s)"
}

# The place of folder $1 without links; nothing where there is none.
where() { (cd -P -- "$1" && pwd); }
# Every home that there is, a line of user and path, each once: a home may have two names, since /home may be a link.
homes() {
  seen=:
  {
    while IFS=: read -r u x x x x h x; do printf '%s:%s\n' "$u" "$h"; done <"$R/etc/passwd"
    echo root:/root
    for h in "$R"/home/*; do printf '%s:%s\n' "${h##*/}" "${h#"$R"}"; done
  } | while IFS=: read -r u h; do
    h=${h%/}
    case $h in '' | /dev* | /proc* | /sys* | /run | /nonexistent | [!/]*) continue ;; esac
    [ -d "$R$h" ] || continue
    d=$(where "$R$h")
    case $seen in *":$d:"*) continue ;; esac
    seen="$seen$d:"
    printf '%s:%s\n' "$u" "$h"
  done
}
# each_home FUNCTION: calls it with user and home for every one of them.
each_home() {
  while IFS=: read -r u h <&5; do
    "$1" "$u" "$h"
  done 5<<HOMES
$H
HOMES
}
# Whether folder $1 lies in one of those that are looked through for secrets.
is_below() {
  for x in $B; do
    case $1/ in "$x"/*) return ;; esac
  done
  return 1
}

# Whether sshd told its settings, where there is one: without them section $1 looks at their usual values only.
settings_known() {
  case $Q in none) ;; 0) [ -z "$Y" ] || lack "$1" "$Y" ;; *) lack "$1" "sshd -T ended with status $Q: $D" ;; esac
}
# The value of one of sshd's settings.
setting() {
  printf '%s\n' "$C" | while read -r k x; do
    [ "$k" = "$1" ] && printf '%s\n' "$x"
  done
}

look_keys() {
  settings_known keys
  K=$(setting authorizedkeysfile)
  set -f
  seen_keys=:
  while IFS=: read -r u x i x x h x; do
    for p in ${K:-.ssh/authorized_keys .ssh/authorized_keys2}; do
      keys_file "$u" "${h%/}" "$p" "$i"
    done
  done <"$R/etc/passwd"
  set +f
  each_home keys_of
  say 'keys .'
}
# Folders too: some distributions keep one file for each source of keys (Fedora CoreOS, Flatcar).
keys_of() {
  for f in "$R$2"/.ssh/authorized_keys* "$R$2"/.ssh/authorized_keys.d/*; do
    [ -f "$f" ] && keys_lines "$1" "${f#"$R"}"
  done
}
# What sshd's pattern $3 means for user $1 with home $2 and number $4 (sshd_config(5), "TOKENS").
keys_file() {
  f= l=$3
  case $l in none) return ;; esac
  while :; do
    case $l in
      *%*)
        f=$f${l%%%*}
        l=${l#*%}
        case $l in
          %*) f=$f% ;;
          h*) f=$f$2 ;;
          u*) f=$f$1 ;;
          U*) f=$f$4 ;;
          *)
            lack keys "sshd's AuthorizedKeysFile says $3, which is not understood here"
            return
            ;;
        esac
        l=${l#?}
        ;;
      *)
        f=$f$l
        break
        ;;
    esac
  done
  case $f in /*) ;; *) f=$2/$f ;; esac
  [ -f "$R$f" ] && keys_lines "$1" "$f"
}
keys_lines() {
  case $seen_keys in *":$2:"*) return ;; esac
  seen_keys="$seen_keys$2:"
  if [ ! -r "$R$2" ]; then
    lack keys "$2 cannot be read"
    return
  fi
  n=0
  while IFS= read -r l || [ -n "$l" ]; do
    n=$((n + 1))
    case $l in '' | '#'*) continue ;; esac
    say keys "$1" "$n" "$2" "$l"
  done <"$R$2"
}

look_hostkeys() {
  settings_known hostkeys
  for f in "$R"/etc/ssh/ssh_host_*_key; do host_key "${f#"$R"}"; done
  for f in $(setting hostkey); do
    case $f in /etc/ssh/ssh_host_*) ;; *) host_key "$f" ;; esac
  done
  # cloud-init removes what it finds at an instance's first boot, and says so.
  looked hostkeys grep -a -E 'Attempting to remove /etc/ssh/ssh_host_[a-z0-9_]*_key$' "$R/var/log/cloud-init.log" | tail -n 50 |
    while IFS= read -r l; do
      say hostkeys log "${l%% - *}" "${l##* }"
    done
  say 'hostkeys .'
}

host_key() {
  [ -f "$R$1" ] || return
  l=
  [ -f "$R$1.pub" ] && read -r l <"$R$1.pub"
  say hostkeys file "$(changed "$R$1")" "$1" "$l"
}

look_machine() {
  for f in /etc/machine-id /var/lib/dbus/machine-id; do
    [ -f "$R$f" ] && [ ! -L "$R$f" ] || continue
    l=
    read -r l <"$R$f"
    say machine "$(changed "$R$f")" "$f" "$l"
  done
  say 'machine .'
}

look_cloud() {
  c=$(readlink -- "$R/var/lib/cloud/instance")
  for d in "$R"/var/lib/cloud/instances/*; do
    [ -d "$d" ] && [ "${d##*/}" != "${c##*/}" ] || continue
    s=no
    [ -s "$d/user-data.txt" ] && s=yes
    say cloud instance "$s" "${d#"$R"}"
  done
  for f in "$R"/var/lib/cloud/sem/*; do
    [ -f "$f" ] && say cloud once "$(changed "$f")" "${f#"$R"}"
  done
  say 'cloud .'
}

look_hist() {
  each_home hist_of
  say 'hist .'
}
hist_of() {
  for f in bash_history ash_history sh_history zsh_history zhistory ksh_history history fish_history python_history mysql_history mariadb_history \
    psql_history sqlite_history rediscli_history mongo_history node_repl_history irb_history lesshst viminfo; do
    [ -s "$R$2/.$f" ] && say hist "$1" "$(bytes "$R$2/.$f")" "$2/.$f"
  done
  [ -s "$R$2/.local/share/fish/fish_history" ] &&
    say hist "$1" "$(bytes "$R$2/.local/share/fish/fish_history")" "$2/.local/share/fish/fish_history"
}

look_known() {
  each_home known_of
  say 'known .'
}
known_of() {
  for f in known_hosts known_hosts2 known_hosts.old; do
    [ -s "$R$2/.ssh/$f" ] && say known "$1" "$(wc -l <"$R$2/.ssh/$f")" "$2/.ssh/$f"
  done
}

# holding WORD DEPTH BLOCKS PATTERN PLACES…: the regular files below them, not larger than BLOCKS of 512 bytes, that hold PATTERN. A place may be a link
# (/home, /opt and their like often are), and so may what stands in those folders: a user's home, a program's folder.
holding() {
  w=$1 d=$2 z=$3 p=$4
  shift 4
  # Whether these tools know all these words: of searches, the status only says that something was not found.
  printf 'x%sx\n' ' -----BEGIN PRIVATE KEY AKIAAAAAAAAAAAAAAAAA ' | grep -a -q -E -e "$p" || lack "$w" 'this grep does not know the pattern'
  find -H /dev/null -maxdepth 0 -xdev -type f -size "-$z" ! -path x ! -name x -exec true {} + || lack "$w" 'this find does not know all options'
  looked "$w" find -H "$@" -maxdepth "$d" -xdev -type f -size "-$z" ! -path "$R/etc/ssh/ssh_host_*" ! -path "$R/etc/pki/rhui/*" ! -name '*snakeoil*' \
    ! -name '*.md' ! -name '*.rst' ! -name '*.html' ! -name '*_test.*' ! -name 'test_*' -exec grep -a -l -E -e "$p" {} +
}
# Links in the folders of homes and programs that lead to folders elsewhere, a line each.
links_elsewhere() {
  for f in "$R"/home/* "$R"/opt/* "$R"/srv/*; do
    [ -L "$f" ] && [ -d "$f" ] || continue
    is_below "$(where "$f")" && continue
    case $f in *"$NL"*) ;; *) printf '%s\n' "$f" ;; esac
  done
}
# at WORD WHAT PATTERN FILE: the first three lines of it that hold PATTERN, by number.
at() {
  for n in $(looked "$1" grep -a -n -m 3 -E -e "$3" -- "$R$4" | cut -d : -f 1); do
    say "$1" "$2" "$n" "$4"
  done
}

look_private() {
  p="(^|[\"'=:>,[:space:]])-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY|^PuTTY-User-Key-File-"
  set -- "$R/root" "$R/home" "$R/etc" "$R/opt" "$R/srv" "$R/tmp" "$R/var/tmp" "$R/usr/local/etc"
  while IFS= read -r f; do
    [ -z "$f" ] || set -- "$@" "$f"
  done <<LINKS
$(links_elsewhere)
LINKS
  holding private 6 129 "$p" "$@" | while IFS= read -r f; do
    [ -n "$f" ] || continue
    n=$(grep -a -n -m 1 -E -e "$p" -- "$f" | cut -d : -f 1)
    say private "${n:-0}" "${f#"$R"}"
  done
  each_home private_of
  say 'private .'
}
# Of homes elsewhere only .ssh.
private_of() {
  is_below "$(where "$R$2")" && return
  for f in "$R$2"/.ssh/*; do
    [ -f "$f" ] || continue
    n=$(looked private grep -a -n -m 1 -E -e "$p" -- "$f" | cut -d : -f 1)
    [ -n "$n" ] && say private "$n" "${f#"$R"}"
  done
}

look_creds() {
  each_home creds_of
  at creds 'repository password' '^[[:space:]]*(machine|password)' /etc/apt/auth.conf
  for f in "$R"/etc/apt/auth.conf.d/* "$R"/etc/apt/sources.list "$R"/etc/apt/sources.list.d/* "$R"/etc/yum.repos.d/* "$R/etc/pip.conf"; do
    [ -f "$f" ] && at creds 'repository password' '^[^#]*(://[^/@: ]+:[^/@ ]+@|password[ =])' "${f#"$R"}"
  done
  at creds 'mail password' '^[^#]*[^[:space:]]' /etc/postfix/sasl_passwd
  p='(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}([^A-Z0-9]|$)'
  p="$p|(aws_secret_access_key|AWS_SECRET_ACCESS_KEY|aws_session_token|AWS_SESSION_TOKEN)[\"']?[[:space:]]*[=:][[:space:]]*[\"']?[A-Za-z0-9/+]{20}"
  p="$p|(ghp|gho|ghs)_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40}|glpat-[A-Za-z0-9_-]{20}|xox[bp]-[0-9]{9}|hvs\\.[A-Za-z0-9_-]{24}"
  set -- "$R/root" "$R/home" "$R/opt" "$R/srv" "$R/tmp" "$R/var/tmp" "$R/etc/environment" "$R/etc/profile" "$R/etc/profile.d" \
    "$R/etc/default" "$R/etc/sysconfig" "$R/etc/cron.d" "$R/etc/systemd" "$R/etc/cloud" "$R/etc/crontab" "$R/usr/local/etc"
  while IFS= read -r f; do
    [ -z "$f" ] || set -- "$@" "$f"
  done <<LINKS
$(links_elsewhere)
LINKS
  holding creds 4 1025 "$p" "$@" | while IFS= read -r f; do
    [ -n "$f" ] || continue
    case $f in */.aws/credentials | */.aws/config) continue ;; esac
    n=$(grep -a -n -m 1 -E -e "$p" -- "$f" | cut -d : -f 1)
    say creds 'access key or token' "${n:-0}" "${f#"$R"}"
  done
  say 'creds .'
}
creds_of() {
  c=$2
  for f in .aws/credentials .aws/config; do
    in_home 'AWS key' '^[^#]*(aws_secret_access_key|aws_session_token)[[:space:]]*=' "$f"
  done
  in_home 'AWS key' '^[^#]*secret_access_key' .boto
  in_home 'AWS key' '^[^#]*secret_key' .s3cfg
  for f in credentials.db access_tokens.db application_default_credentials.json; do in_home 'Google Cloud credential' . ".config/gcloud/$f"; done
  for f in accessTokens.json msal_token_cache.json msal_token_cache.bin service_principal_entries.json; do in_home 'Azure credential' . ".azure/$f"; done
  for f in .docker/config.json .dockercfg .config/containers/auth.json; do in_home 'registry password' '"(auth|identitytoken|password)"[[:space:]]*:[[:space:]]*"[^"]' "$f"; done
  in_home 'password' 'password' .netrc
  for f in .git-credentials .config/git/credentials; do in_home 'git password' '://[^/]*@' "$f"; done
  for f in .gitconfig .config/git/config; do in_home 'git password' '://[^/@: ]+:[^/@ ]+@' "$f"; done
  in_home 'npm token' '(_authToken|_auth|_password)[[:space:]]*=[[:space:]]*[^$[:space:]]' .npmrc
  in_home 'Python index password' '^[[:space:]]*password[[:space:]]*[:=]' .pypirc
  for f in .pip/pip.conf .config/pip/pip.conf; do in_home 'Python index password' '://[^/@: ]+:[^/@ ]+@' "$f"; done
  in_home 'gem key' . .gem/credentials
  for f in .cargo/credentials .cargo/credentials.toml; do in_home 'cargo token' 'token[[:space:]]*=' "$f"; done
  in_home 'Terraform token' 'token' .terraform.d/credentials.tfrc.json
  in_home 'Terraform token' '^[^#]*token[[:space:]]*=' .terraformrc
  in_home 'Kubernetes credential' '^[[:space:]]*(token|password|client-key-data)[[:space:]]*:' .kube/config
  in_home 'Vault token' . .vault-token
  in_home 'GitHub token' 'oauth_token' .config/gh/hosts.yml
  in_home 'rclone password' '^[[:space:]]*(pass|token|secret_access_key)[[:space:]]*=' .config/rclone/rclone.conf
  in_home 'database password' '^[^#]' .pgpass
  in_home 'database password' '^[[:space:]]*password[[:space:]]*=' .my.cnf
}
in_home() { [ -s "$R$c/$3" ] && at creds "$1" "$2" "$c/$3"; }

look_seed() {
  for f in /var/lib/systemd/random-seed /var/lib/urandom/random-seed /var/lib/misc/random-seed /var/lib/random-seed; do
    [ -s "$R$f" ] && say seed "$(stat -c '%Y %W' -- "$R$f")" "$f"
  done
  say 'seed .'
}

look_cores() {
  for f in "$R"/core "$R"/core.[0-9]* "$R"/var/crash/*.crash "$R"/var/crash/*.core "$R"/var/crash/*/vmcore* "$R"/var/crash/*/dump.* \
    "$R"/var/lib/systemd/coredump/* "$R"/var/lib/apport/coredump/* "$R"/var/spool/abrt/*/coredump "$R"/var/tmp/abrt/*/coredump; do
    [ -f "$f" ] && say cores "$(bytes "$f")" "${f#"$R"}"
  done
  each_home cores_of
  say 'cores .'
}
cores_of() {
  for f in "$R$2"/core "$R$2"/core.[0-9]*; do
    [ -f "$f" ] && say cores "$(bytes "$f")" "${f#"$R"}"
  done
}

look_sudo() {
  # The names of the user who logged in: several may share a number.
  [ -n "$SUDO_UID$DOAS_USER" ] || SUDO_UID=0
  while IFS=: read -r u x i x; do
    case $i:$u in "$SUDO_UID":* | *:"$DOAS_USER") say sudo same "$u" ;; esac
  done <"$R/etc/passwd"
  for f in "$R"/etc/sudoers "$R"/etc/sudoers.d/* "$R"/usr/local/etc/sudoers "$R"/usr/local/etc/sudoers.d/*; do
    # sudo leaves these names out (sudoers(5), "Including other files").
    case ${f#"$R"} in */sudoers.d/*.* | *~) continue ;; esac
    [ -f "$f" ] || continue
    n=0
    while IFS= read -r l || [ -n "$l" ]; do
      n=$((n + 1))
      case $l in
        *NOPASSWD* | *'!authenticate'*) say sudo rule "$n" "${f#"$R"}" "$l" ;;
      esac
    done <"$f"
  done
  say 'sudo .'
}

look_shadow() {
  while IFS=: read -r u p i x; do
    [ -n "$u" ] || continue
    [ -z "$p" ] && say shadow empty "$u" /etc/passwd
    case $i in *[!0-9]* | '') ;; *) [ "$i" -eq 0 ] && [ "$u" != root ] && say shadow uid0 "$u" ;; esac
  done <"$R/etc/passwd"
  while IFS=: read -r u p x; do
    case $p in
      '') say shadow empty "$u" /etc/shadow ;;
      [!*]*) shadow_hash ;;
    esac
  done <"$R/etc/shadow"
  say shadow sshd "$(setting passwordauthentication)" "$(setting kbdinteractiveauthentication)" "$(setting permitrootlogin)"
  [ -r "$R/etc/passwd" ] && [ -r "$R/etc/shadow" ] && say 'shadow .'
}
shadow_hash() {
  case $p in
    !*) ;;
    '$'*)
      p=${p#?}
      say shadow hash "$u" "${p%%\$*}"
      ;;
    ?????????????) say shadow hash "$u" des ;;
    _*) say shadow hash "$u" bsdi ;;
  esac
}

# The image's own file systems, those on disks: a line for each part of one that no other line's search comes through. `-` begins a part whose ostree/
# holds what is mounted elsewhere. The newest mount at a place hides those before it; one that is bound elsewhere shows a part of its file system only.
disks() {
  # device, root in the file system, place, and whether it is to be looked through
  M= seen=' '
  while read -r x x d r p l; do
    case $seen in *" $p "*) continue ;; esac
    seen="$seen$p "
    t=${l##* - }
    t=${t%% *}
    k=
    case $t in
      ext[234] | xfs | btrfs | f2fs | jfs | zfs | bcachefs) k=y ;;
      overlay | rootfs | fuse*) [ "$p" = / ] && k=y ;;
    esac
    [ -z "$k" ] || k=$(stat -c %d -- "$(printf '%b' "$p")") || k=
    M="$d $r $p $k$NL$M"
  done <<MOUNTS
$(mounts | sed '1!G;h;$!d')
MOUNTS
  printf '%s' "$M" | while read -r d r p k; do
    [ -n "$k" ] || continue
    found_elsewhere "$d" "$r" "$p" "$k" && continue
    if [ "$p" = /sysroot ] && [ -e "$R/run/ostree-booted" ]; then printf '-'; fi
    printf '%b\n' "$p"
  done
}
mounts() { cat /proc/self/mountinfo; }
# Whether the part that is mounted at $3 is seen at another mount of the same file system: one of a larger part, at whose place for it nothing else is
# mounted; or, of two that show the same part, the first in the list.
found_elsewhere() {
  [ "$3" != / ] || return 1
  printf '%s' "$M" | (
    passed=
    while read -r d r p k; do
      [ "$k" = "$4" ] || continue
      if [ "$p" = "$3" ]; then
        passed=y
      elif [ "$r" = "$2" ]; then
        [ -n "$passed" ] || exit 9
      elif [ "$p" != /sysroot ] || [ ! -e "$R/run/ostree-booted" ]; then
        case $2 in "${r%/}"/*) nothing_over "$1" "${p%/}/${2#"${r%/}/"}" "$p" && exit 9 ;; esac
      fi
    done
  )
  [ "$?" = 9 ]
}
# Whether the way from $3 down to $2 stays on device $1.
nothing_over() {
  printf '%s' "$M" | (
    while read -r d r p k; do
      [ "$d" != "$1" ] || continue
      case $2/ in "${p%/}"/*) ;; *) continue ;; esac
      case ${3%/}/ in "${p%/}"/*) ;; *) exit 9 ;; esac
    done
  )
  [ "$?" != 9 ]
}
# Run by find for many files at once, with stat's format as $0. In a name with a line feed there is ? in its place.
DESCRIBE='
case "$*" in *"
"*)
  for f; do
    shift
    case $f in *"
"*)
      printf "%s%s" "$(stat -c "$0" -- "$f")" "$f" | tr "\n" "?"
      echo
      ;;
    *) set -- "$@" "$f" ;;
    esac
  done
  ;;
esac
[ "$#" -eq 0 ] || stat -c "$0%n" -- "$@"'
look_files() {
  # A busybox has no -nouser: there the known numbers are left out one by one.
  if find / -maxdepth 0 -nouser; then
    set -- -nouser -o -nogroup
  else
    set -- '('
    while IFS=: read -r u x i x; do set -- "$@" ! -user "$i"; done <"$R/etc/passwd"
    set -- "$@" ')' -o '('
    while IFS=: read -r u x i x; do set -- "$@" ! -group "$i"; done <"$R/etc/group"
    set -- "$@" ')'
  fi
  set -- '(' -type f '(' -perm -4000 -o -perm -2000 -o -perm -2 ')' -o -type d -perm -2 ! -perm -1000 -o -type d -name .git -o "$@" ')'
  set -- "$@" -exec sh -c "$DESCRIBE" "files$TAB%f$TAB%u$TAB%g$TAB%U$TAB%G$TAB" {} +
  # Layers of containers' images are others' file systems: their users have no names here, and their programs are run inside only.
  for f in docker/overlay2 containerd/io.containerd.snapshotter.v1.overlayfs/snapshots containers/storage/overlay; do
    set -- -path "$R/var/lib/$f" -prune -o "$@"
  done
  IFS=$NL
  set -f
  for p in $A; do
    case $p in *[\\\[?]* | *'*'*'*' | [!/]*) ;; /*'/*') set -- -path "$R$p" -prune -o "$@" ;; esac
  done
  set +f
  unset IFS
  if [ -n "$R" ]; then v=$R; else v=$(disks); fi
  [ -n "$v" ] || v=/
  # Whether this find knows all these words; on trees its status only says that files came and went.
  find /dev/null -xdev "$@" || lack files 'this find does not know all options'
  while IFS= read -r f; do
    case $f in
      -*)
        f=${f#-}
        looked files find "$f" -xdev -path "$f/ostree" -prune -o "$@"
        ;;
      *) looked files find "$f" -xdev "$@" ;;
    esac
  done <<DISKS
$v
DISKS
  say 'files .'
}

look_tmp() {
  for f in "$R"/tmp/* "$R"/tmp/.[!.]* "$R"/var/tmp/* "$R"/var/tmp/.[!.]*; do
    case ${f##*/} in
      aquota.user | aquota.group) continue ;;
      # Every ext file system has one; what fsck put into it is no other's.
      lost+found) [ -n "$(ls -A -- "$f")" ] || continue ;;
      systemd-private-* | snap-private-tmp | .X11-unix | .ICE-unix | .XIM-unix | .font-unix | .Test-unix | cloud-init | abrt) continue ;;
    esac
    [ -e "$f" ] || [ -L "$f" ] || continue
    say tmp "$(changed "$f")" "${f#"$R"}"
  done
  say 'tmp .'
}

look_logs() {
  i=
  read -r i <"$R/etc/machine-id"
  for d in "$R"/var/log/journal/*; do
    [ -d "$d" ] || continue
    n=${d##*/}
    # Namespaces of this machine's are ID.NAME; systemd-journal-remote has a folder of its own.
    case ${n%%.*} in
      "$i") continue ;;
      remote) [ -n "$(ls -A -- "$d")" ] || continue ;;
    esac
    case $i in
      [0-9a-f]*) say logs journal 0 "${d#"$R"}" ;;
      *) lack logs 'there is no /etc/machine-id to tell own journals by' ;;
    esac
  done
  say logs zone "$(date +%z)" /
  for l in auth.log secure syslog messages btmp wtmp cloud-init.log cloud-init-output.log user-data.log audit/audit.log amazon/ssm/amazon-ssm-agent.log; do
    for f in "$R/var/log/$l" "$R/var/log/$l".[0-9]* "$R/var/log/$l"-[0-9]*; do
      [ -s "$f" ] && say logs file "$(changed "$f")" "$(born "$f")" "$(first_record "$f")" "${f#"$R"}"
    done
  done
  v=$(looked logs du -sk "$R/var/log/.")
  [ -n "$v" ] && say logs size "${v%%[!0-9]*}" /var/log
  say 'logs .'
}
# When file $1 was made; 0 where that is not known. On an overlay it is when the file was copied up.
born() {
  case $(stat -f -c %t -- "$1") in 794c7630) echo 0 && return ;; esac
  n=$(stat -c %W -- "$1")
  case $n in '' | *[!0-9]*) echo 0 ;; *) echo "$n" ;; esac
}
# The first time that file $1 tells: of a text the first time stamp in one of the forms that loggers use, of wtmp and btmp the numbers where a
# record has its time (utmp(5); in one layout they begin a word later).
first_record() {
  case ${1##*/} in
    [wb]tmp*)
      # shellcheck disable=SC2046 # two numbers
      echo utmp $(od -An -t d4 -j 340 -N 8 -- "$1" || od -An -t d4 -j 340 -N 8 "$1")
      ;;
    *.gz) gzip -dc -- "$1" | head -c 65536 | grep -a -m 1 -o -E -e "$S" | head -n 1 ;;
    *) looked logs grep -a -m 1 -o -E -e "$S" -- "$1" | head -n 1 ;;
  esac
}
M='(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)'
S='[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?(Z|[+-][0-9]{2}:?[0-9]{2})?'
S="$S|^$M [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}|audit\\([0-9]{9,}|[A-Z][a-z]{2}, [0-9]{2} $M [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"

H=$(homes)
# The folders that are looked through for secrets, where they really are; none of them has a blank in its name, or it is not among these.
B=$(for d in root home etc opt srv tmp var/tmp usr; do where "$R/$d"; done)
bounded() { limit "$@"; }
sshd_says ''
C=$v Q=$q D=$e
first_boot
for section; do
  case $section in
    keys) { exec 4>&1 && look_keys; } | few keys 6000 ;;
    *) { exec 4>&1 && "look_$section"; } | few "$section" 600 ;;
  esac
done
say 'end .'
