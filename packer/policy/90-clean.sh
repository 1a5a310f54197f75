#!/bin/sh
# Last: what must differ between two instances of one image goes, and what the build has left of itself. Host keys and machine-id are made anew at first boot.
set -eu
apt-get -q clean
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /root/.bash_history /home/*/.bash_history
truncate -s 0 /etc/machine-id
rm -f /var/lib/dbus/machine-id
cloud-init clean --logs
if [ -d /run/systemd/system ]; then
    # This service writes its seed when it ends, which is after this script: so it ends now.
    systemctl stop systemd-random-seed.service || true
    # From here on the journal is in memory only.
    journalctl --relinquish-var || true
fi
rm -f /var/lib/systemd/random-seed
rm -rf /var/log/journal/*
# Removed and not emptied: who logs out after this appends to a file that is there. systemd makes them anew at boot.
rm -f /var/log/wtmp /var/log/btmp /var/log/lastlog
find /var/log -type f \( -name '*.gz' -o -name '*.[0-9]' -o -name '*.old' \) -delete
find /var/log -type f -exec truncate -s 0 {} +
