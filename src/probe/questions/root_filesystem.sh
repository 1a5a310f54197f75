# The mount of /, its numbers, and what it stands on, from the kernel's block devices: `WORD NAME START SIZE` in 512-byte blocks.
ask_root_filesystem() {
  begin
  m=$(grep -E '^[0-9]+ [0-9]+ [0-9]+:[0-9]+ [^ ]+ / ' /proc/self/mountinfo 2>/dev/null | tail -n 1)
  a=".m
$(printf '%s' "$m" | head -c 4096 | enc)
.s
$(limit "$T" stat -f -c '%S %b %f %a %c %d' / 2>/dev/null | enc)
.b
$(root_blocks $m | head -c 16384 | enc)"
  answer
}
root_blocks() {
  d=/sys/dev/block/$3
  if [ ! -e "$d/size" ]; then
    # btrfs has a number of its own; its device is the word after the type, behind the dash.
    while [ "$#" -gt 2 ] && [ "$1" != - ]; do shift; done
    [ "$1" = - ] || return
    d=/sys/class/block/$(basename -- "$(readlink -f -- "$3")")
  fi
  d=$(readlink -f -- "$d") || return
  [ -e "$d/size" ] || return
  block_line device "$d"
  if [ -d "$d/dm" ] || [ -d "$d/md" ]; then
    n=0
    for q in "$d"/slaves/*; do
      [ -e "$q/size" ] || continue
      n=$((n + 1))
      d=$(readlink -f -- "$q")
    done
    printf 'layers %s 0 0\n' "$n"
    [ "$n" = 1 ] || return
    block_line device "$d"
  fi
  [ -e "$d/partition" ] || return
  block_line disk "${d%/*}"
  for q in "${d%/*}"/*/partition; do
    block_line part "${q%/*}"
  done
}
block_line() {
  x=0 z=0
  { read -r x <"$2/start"; } 2>/dev/null
  { read -r z <"$2/size"; } 2>/dev/null
  printf '%s %s %s %s\n' "$1" "${2##*/}" "$x" "$z"
}
