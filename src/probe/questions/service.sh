ask_service() {
  begin
  if command -v systemctl >/dev/null 2>&1; then
    v=$(limit "$T" systemctl show --no-pager -p LoadState -p ActiveState -p UnitFileState -- "$1" 2>&1)
    a=".s $?
.o
$(printf '%s' "$v" | head -c 65536 | enc)"
  else
    a='.s none'
  fi
  answer
}
