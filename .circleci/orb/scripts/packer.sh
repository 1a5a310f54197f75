command -v packer && exit 0
cd "$(mktemp -d)" || exit
platform=linux_$(dpkg --print-architecture)
file=packer_${PACKER_VERSION}_$platform.zip
digest=$(printf '%s\n' "$PACKER_SHA256" | tr ' ' '\n' | sed -n "s/^$platform=//p")
[ -n "$digest" ] || { echo "the parameter sha256 of the command packer has no $platform=DIGEST for Packer $PACKER_VERSION" >&2; exit 1; }
curl -fsSLO "https://releases.hashicorp.com/packer/$PACKER_VERSION/$file"
echo "$digest  $file" | sha256sum --check --strict
mkdir -p "$HOME/packer"
unzip -q -o "$file" packer -d "$HOME/packer"
echo 'export PATH="$HOME/packer:$PATH"' >> "$BASH_ENV"
