#!/usr/bin/env bash
# Puts the units where systemd finds them: deploy/systemd/install.sh [/etc/systemd/system]. As root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-/etc/systemd/system}
for unit in "$here"/*.service "$here"/*.socket "$here"/*.target; do
  install -D -m 0644 "$unit" "$to/$(basename "$unit")"
done
for unit in "$here"/*.service; do
  install -D -m 0644 "$here/common.conf" "$to/$(basename "$unit").d/common.conf"
done
install -D -m 0644 "$here/models.conf" "$to/palisade@models.service.d/models.conf"
