# The releases of the kernels that can be booted; where none has a file of its own, those that have modules.
inventory_kernels() {
  n=
  for f in /boot/vmlinuz-* /boot/vmlinux-* /usr/lib/modules/*/vmlinuz /lib/modules/*/vmlinuz; do
    [ -e "$f" ] || continue
    n=1
    case $f in
    */vmlinuz)
      f=${f%/vmlinuz}
      printf '%s\n' "${f##*/}"
      ;;
    *)
      f=${f##*/vmlinu}
      printf '%s\n' "${f#?-}"
      ;;
    esac
  done
  [ -n "$n" ] && return 0
  for f in /lib/modules/*; do
    [ -d "$f" ] && printf '%s\n' "${f##*/}"
  done
  return 0
}
