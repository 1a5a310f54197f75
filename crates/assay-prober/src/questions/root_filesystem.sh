# The mount of /, its numbers, whether it takes a new file (where $1 is w), and what it stands on, from the kernel's block devices:
# `WORD NAME START SIZE` in 512-byte blocks.
ask_root_filesystem() {
  begin
  m=$(grep -E '^[0-9]+ [0-9]+ [0-9]+:[0-9]+ [^ ]+ / ' /proc/self/mountinfo 2>/dev/null | tail -n 1)
  a=".m
$(printf '%s' "$m" | head -c 4096 | enc)
.s
$(limit "$T" stat -f -c '%S %b %f %a %c %d' / 2>/dev/null | enc)
.b
$(root_blocks $m | enc)"
  if [ -n "$1" ]; then
    try_to_write
    a="$a
.w $w"
    part e "$e"
  fi
  answer
}
# ext4 that found an error, and xfs that was shut down, go on being mounted as writable, and from Linux 6.12 not even the kernel's list of mounts
# says otherwise. So a file is made and removed: w is yes, no or, where this user may not write to / anywhere, ?.
try_to_write() {
  w='?' e=
  if [ "$(id -u)" != 0 ] && root; then r=$S; fi
  d=$(stat -c %d / 2>/dev/null)
  for f in / /var/tmp/ /tmp/; do
    [ -n "$d" ] && [ "$(stat -c %d "$f" 2>/dev/null)" = "$d" ] || continue
    # A file whose name nobody can guess: in /tmp nobody else can have put a link there.
    e=$(plain sh -c 'set -C; : >"$0" && rm -f -- "$0"' "$f.assay-$N" 2>&1) && w=yes && break
    case $e in *'ead-only file system'* | *'nput/output error'* | *'I/O error'*)
      w=no
      break
      ;;
    esac
  done
  r=
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
  # Layer by layer: LVM on LUKS on RAID.
  while [ -d "$d/dm" ] || [ -d "$d/md" ]; do
    n=0
    for q in "$d"/slaves/*; do
      [ -e "$q/size" ] || continue
      n=$((n + 1))
      d=$(readlink -f -- "$q")
    done
    printf 'layers %s 0 0\n' "$n"
    [ "$n" = 1 ] || return
    block_line device "$d"
  done
  if [ ! -e "$d/partition" ]; then
    block_line whole "$d"
    return
  fi
  block_line disk "${d%/*}"
  for q in "${d%/*}"/*/partition; do
    block_line part "${q%/*}"
  done
}
block_line() {
  x=0 z='?'
  { read -r x <"$2/start"; } 2>/dev/null
  { read -r z <"$2/size"; } 2>/dev/null
  printf '%s %s %s %s\n' "$1" "${2##*/}" "$x" "$z"
}
