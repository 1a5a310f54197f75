"""Owns an sshd as FIPS 140 has it: neither its own keys nor those it takes are ed25519, and there is no Curve25519 in the key
exchange.

Source: "Enable FIPS mode", docs.aws.amazon.com/linux/al2023/ug/fips-mode.html, and the crypto policy FIPS of RHEL 9
(openssh), which has ECDSA on the NIST curves and RSA only. Refuses to look like the rest of FIPS mode.
"""

from __future__ import annotations

import pathlib

TAG = "minicloud:no-ed25519"
# A file that Debian's sshd_config includes first, so that the image made from such an instance is such an image.
FILE = "etc/ssh/sshd_config.d/00-no-ed25519.conf"
TEXT = """HostKey /etc/ssh/ssh_host_ecdsa_key
HostKey /etc/ssh/ssh_host_rsa_key
HostKeyAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,rsa-sha2-256,rsa-sha2-512
PubkeyAcceptedAlgorithms ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,rsa-sha2-256,rsa-sha2-512
KexAlgorithms ecdh-sha2-nistp256,ecdh-sha2-nistp384,diffie-hellman-group14-sha256,diffie-hellman-group16-sha512
Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes128-ctr
MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,hmac-sha2-512
"""


def write(upper: pathlib.Path) -> None:
    """Puts the setting into an instance's own layer."""
    path = upper / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)
