ask_systemd() {
  begin
  if command -v systemctl >/dev/null 2>&1; then
    v=$(limit "$T" systemctl list-units --state=failed --plain --no-legend --no-pager --full 2>&1)
    a=".s $?"
    part o "$v"
  else
    a='.s none'
  fi
  answer
}
