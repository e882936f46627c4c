#!/usr/bin/env bash
# Unpacks Chromium, what it needs that this machine lacks, and a font, from Debian's packages into .cache/chromium. It installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$PWD/.cache/chromium
complete=$target/complete-with-dejavu
[[ -e $complete ]] && exit 0

rm -rf "$target"
mkdir -p "$target/packages/partial"
(($(id -u) != 0)) || apt-get -qq update
apt-get -qq --yes --download-only --no-install-recommends --reinstall -o Debug::NoLocking=true -o APT::Sandbox::User=root \
  -o Dir::Cache::Archives="$target/packages" install chromium chromium-common >/dev/null
(cd "$target/packages" && apt-get -qq -o APT::Sandbox::User=root download fonts-dejavu-core)
for package in "$target"/packages/*.deb; do
  dpkg -x "$package" "$target"
done
rm -r "$target/packages"
cat >"$target/fonts.conf" <<END
<fontconfig>
<dir>$target/usr/share/fonts</dir>
<cachedir>$target/fonts-cache</cachedir>
<alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
<alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
<alias><family>system-ui</family><prefer><family>DejaVu Sans</family></prefer></alias>
</fontconfig>
END
touch "$complete"
