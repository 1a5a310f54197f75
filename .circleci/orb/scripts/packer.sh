command -v packer && exit 0
cd "$(mktemp -d)" || exit
file=packer_${PACKER_VERSION}_linux_$(dpkg --print-architecture).zip
curl -fsSLO "https://releases.hashicorp.com/packer/$PACKER_VERSION/$file"
curl -fsSL "https://releases.hashicorp.com/packer/$PACKER_VERSION/packer_${PACKER_VERSION}_SHA256SUMS" | grep -F "$file" | sha256sum --check --strict
mkdir -p "$HOME/packer"
unzip -q -o "$file" packer -d "$HOME/packer"
echo 'export PATH="$HOME/packer:$PATH"' >> "$BASH_ENV"
