#!/bin/sh
# The application's user: open files, and no core dumps, which could hold what it was working on.
set -eu
cat > /etc/security/limits.d/60-app.conf <<'CONF'
app soft nofile 4096
app hard nofile 65536
app hard core   0
CONF
chmod 0644 /etc/security/limits.d/60-app.conf
