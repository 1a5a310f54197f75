#!/bin/sh
# Last: what must differ between two instances of one image goes. Host keys and machine-id are made anew at first boot.
set -eu
apt-get -q clean
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
rm -f /root/.bash_history /home/*/.bash_history
truncate -s 0 /etc/machine-id
rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
cloud-init clean --logs
