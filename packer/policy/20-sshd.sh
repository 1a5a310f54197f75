#!/bin/sh
# sshd: keys only, no root, fewer tries. A drop-in, so that the package's own file stays as it was shipped.
set -eu
install -d -m 0755 /etc/ssh/sshd_config.d
cat > /etc/ssh/sshd_config.d/10-policy.conf <<'CONF'
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
MaxAuthTries 4
X11Forwarding no
CONF
chmod 0644 /etc/ssh/sshd_config.d/10-policy.conf
sshd -t
