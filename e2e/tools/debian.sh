#!/usr/bin/env bash
# Unpacks what no Go module gives, etcd 3.4, zstd and mkfs.xfs with its libraries, from Debian's packages into .cache/debian.
# It installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=.cache/debian
complete=$target/complete-with-xfs
[[ -e $complete ]] && exit 0

rm -rf "$target"
mkdir -p "$target/packages"
(($(id -u) != 0)) || apt-get -qq update
(cd "$target/packages" && apt-get -qq -o APT::Sandbox::User=root download etcd-server etcd-client zstd xfsprogs libinih1 liburcu8)
for package in "$target"/packages/*.deb; do
  dpkg -x "$package" "$target"
done
version=$("$target/usr/bin/etcd" --version) # without head, whose early end would fail the pipe
if [[ $version != "etcd Version: 3.4."* ]]; then
  echo "this Debian has ${version%%$'\n'*}, and the tests want 3.4: use Debian 12" >&2
  exit 1
fi
touch "$complete"
