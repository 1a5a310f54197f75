# What two boots of one image are compared by. Host keys are read where OpenSSH puts them; /run/assay-host-keys is what assay's user data saw there
# before cloud-init replaced them (crates/assay-aws/src/launch/user_data.rs).
ask_facts() {
  begin
  b= m= t=0 k=0
  { read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null
  { read -r m </etc/machine-id; } 2>/dev/null
  armed
  # Some versions of cloud-init write the public keys that they are given as if they were private.
  for f in /etc/ssh/ssh_host_*_key.pub; do
    if [ -e "$f" ] && [ ! -r "$f" ] && root; then r=$S; fi
  done
  [ -e /run/assay-host-keys ] && k=1
  a=".t $t
.n $k
.b
$(printf '%s' "$b" | enc)
.m
$(printf '%s' "$m" | head -c 256 | enc)
.k
$($r cat /etc/ssh/ssh_host_*_key.pub 2>/dev/null | head -c 65536 | enc)
.r
$(head -c 65536 /run/assay-host-keys 2>/dev/null | enc)"
  answer
}

# Whether a power-off is due, into t: assay's own timer, its process where there is no systemd, or shutdown(8) with a time. Where systemd does not
# answer, an unseen timer may be armed.
armed() {
  t=1
  [ -e /run/systemd/shutdown/scheduled ] && return
  grep -qs 'assay-[e]xpiry' /proc/[0-9]*/cmdline && return
  t=0
  command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ] || return
  systemctl_said is-active assay-expiry.timer
  case $q:$v in
  0:*) t=1 ;;
  3:inactive | 3:failed | 3:unknown | 4:inactive | 4:unknown) ;;
  *) t='?' ;;
  esac
  r=
}
