#!/bin/sh
# Installs a bootable Debian 12 onto an empty disk: one partition, GRUB in the BIOS boot partition before it. Run as root on the helper with
# DEVICE (as it was attached), MIRROR and POLICY (a folder of scripts to run inside) set.
set -eu
: "${DEVICE:?}" "${MIRROR:?}" "${POLICY:?}"
export DEBIAN_FRONTEND=noninteractive
root=/mnt/new

apt-get -q update
apt-get -q -y --no-install-recommends install debootstrap gdisk e2fsprogs dosfstools

# On Nitro /dev/sdf is an NVMe disk, and only udev's link says which.
disk=$DEVICE
[ -b "$disk" ] || disk=$(readlink -f "/dev/disk/by-id/"*"$(basename "$DEVICE")" 2> /dev/null || true)
if [ ! -b "$disk" ]; then
    # The one disk without a partition and without a mount.
    disk=$(lsblk -dnpo NAME,TYPE | awk '$2 == "disk" {print $1}' | while read -r each; do
        [ "$(lsblk -nro NAME "$each" | wc -l)" = 1 ] && echo "$each"
    done | head -n 1)
fi
[ -b "$disk" ] || { echo "there is no empty disk for $DEVICE" >&2; exit 1; }

sgdisk --zap-all --new=14:0:+2M --typecode=14:EF02 --new=1:0:0 --typecode=1:8300 "$disk"
udevadm settle
case $disk in *[0-9]) part=${disk}p1 ;; *) part=${disk}1 ;; esac
mkfs.ext4 -q -L root "$part"
mkdir -p "$root"
mount "$part" "$root"
trap 'umount -R "$root" || true' EXIT

debootstrap --variant=minbase --include=ca-certificates,systemd-sysv,udev,dbus bookworm "$root" "$MIRROR"
for each in dev proc sys; do mount --rbind "/$each" "$root/$each" && mount --make-rslave "$root/$each"; done
cat > "$root/etc/apt/sources.list" <<LIST
deb $MIRROR bookworm main
deb $MIRROR bookworm-updates main
deb https://security.debian.org/debian-security bookworm-security main
LIST
echo "LABEL=root / ext4 defaults,errors=remount-ro 0 1" > "$root/etc/fstab"
echo localhost > "$root/etc/hostname"
# Services must not start here: this is not their machine.
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 0755 "$root/usr/sbin/policy-rc.d"
chroot "$root" apt-get -q update
chroot "$root" apt-get -q -y --no-install-recommends install \
    linux-image-cloud-amd64 grub-pc cloud-init cloud-guest-utils openssh-server sudo netplan.io systemd-resolved chrony
chroot "$root" grub-install --target=i386-pc "$disk"
mkdir -p "$root/etc/default/grub.d"
printf 'GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"\nGRUB_TIMEOUT=1\n' > "$root/etc/default/grub.d/60-image.cfg"
chroot "$root" update-grub

# systemd-resolved has made this a link into its own /run, and it does not run here: for the scripts names are resolved as on the helper.
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
mkdir -p "$root/run/sshd"
cp -R "$POLICY" "$root/tmp/policy"
for script in "$root"/tmp/policy/*.sh; do
    chroot "$root" sh "/tmp/policy/$(basename "$script")"
done
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
rm -rf "$root/tmp/policy" "$root/usr/sbin/policy-rc.d"
umount -R "$root"
trap - EXIT
