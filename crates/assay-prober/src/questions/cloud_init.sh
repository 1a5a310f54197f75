# Its folder in /run is made before sshd starts (by the systemd generator, or by the first init script): where it is missing, cloud-init
# does not run in this boot, installed or not.
cloud_init_state() {
  # It is a link to a folder that may be root's alone.
  if [ -e /run/cloud-init/result.json ] || [ -L /run/cloud-init/result.json ]; then
    C=1
  elif [ -e /run/cloud-init/disabled ]; then
    C=disabled
  elif [ -d /run/cloud-init ]; then
    C=0
  else
    C=absent
  fi
}
ask_cloud_init() {
  begin
  cloud_init_state
  a=".x $C"
  if [ "$C" = 1 ]; then
    [ ! -r /run/cloud-init/result.json ] && root && r=$S
    a="$a
.o
$($r head -c 65536 /run/cloud-init/result.json 2>/dev/null | enc)"
  fi
  answer
}
# Waits until cloud-init has finished. The empty line each time around ends this shell when nobody listens any more.
wait_cloud_init() {
  begin
  cloud_init_state
  while [ "$C" = 0 ]; do
    printf '\n' >&9
    sleep 0.1 2>/dev/null || sleep 1
    cloud_init_state
  done
  a=".x $C"
  answer
}
