ask_systemd() {
  begin
  if command -v systemctl >/dev/null 2>&1; then
    systemctl_said list-units --state=failed --plain --no-legend --no-pager --full
    a=".s $q"
    part o "$v"
    part e "$e"
  else
    a='.s none'
  fi
  answer
}
