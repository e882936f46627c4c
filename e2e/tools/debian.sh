#!/usr/bin/env bash
# Unpacks what no Go module gives from Debian's packages into .cache/debian, and what has users of its own into .cache/debian-GROUP.
# It installs nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."

# unpack FOLDER PACKAGE… unpacks packages into a folder that has nothing else.
unpack() {
  local target=$1
  shift
  rm -rf "$target"
  mkdir -p "$target/packages"
  (($(id -u) != 0)) || apt-get -qq update
  (cd "$target/packages" && apt-get -qq -o APT::Sandbox::User=root download "$@")
  for package in "$target"/packages/*.deb; do
    dpkg -x "$package" "$target"
  done
}

# etcd 3.4, zstd, and mkfs.xfs with its libraries.
if [[ ! -e .cache/debian/complete-with-xfs ]]; then
  unpack .cache/debian etcd-server etcd-client zstd xfsprogs libinih1 liburcu8
  version=$(.cache/debian/usr/bin/etcd --version) # without head, whose early end would fail the pipe
  if [[ $version != "etcd Version: 3.4."* ]]; then
    echo "this Debian has ${version%%$'\n'*}, and the tests want 3.4: use Debian 12" >&2
    exit 1
  fi
  touch .cache/debian/complete-with-xfs
fi

# Prometheus, and promtool with it.
if [[ ! -e .cache/debian-prometheus/complete ]]; then
  unpack .cache/debian-prometheus prometheus
  touch .cache/debian-prometheus/complete
fi

# What runs the containers of a node.
if [[ ! -e .cache/debian-node/complete ]]; then
  unpack .cache/debian-node containerd runc containernetworking-plugins
  touch .cache/debian-node/complete
fi
