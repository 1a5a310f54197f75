#!/bin/sh
# Kernel parameters for servers on a network. Applied at boot by systemd-sysctl; not applied here, since the build instance is not the image.
set -eu
cat > /etc/sysctl.d/60-policy.conf <<'CONF'
kernel.kptr_restrict = 1
kernel.dmesg_restrict = 1
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv6.conf.all.accept_redirects = 0
CONF
chmod 0644 /etc/sysctl.d/60-policy.conf
