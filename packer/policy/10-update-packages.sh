#!/bin/sh
# Brings every installed package up to date, new kernels included, without questions and without touching changed configuration files.
set -eu
export DEBIAN_FRONTEND=noninteractive
# Debian's own daily update holds apt's locks, and begins soon after the first boot. Inside of a folder (minimal/install.sh) nothing runs.
if [ -d /run/systemd/system ]; then
    systemctl stop apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service || true
fi
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"; }
apt update
# Not `upgrade`: a new kernel is a package of another name, and what needs a package that is not there yet would be kept back.
apt dist-upgrade
apt --purge autoremove
left=$(apt-get -s dist-upgrade | grep '^Inst' || true)
if [ -n "$left" ]; then
    echo "still not up to date:" "$left" >&2
    exit 1
fi
