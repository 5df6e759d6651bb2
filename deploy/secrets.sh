#!/usr/bin/env bash
# Makes the secrets of compose.yaml that are missing, in deploy/secrets/. Harmless when repeated: none is ever replaced.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p -m 700 secrets
cd secrets

random() { head -c 48 /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }
keep() { [ -s "$1" ] || printf '%s' "$2" >"$1"; }

for name in secret_key key_pepper token_secret sealing_keys backup_key metrics_token \
  postgres_password valkey_password grafana_password; do
  keep "$name" "$(random)"
done
keep database_url "postgresql://palisade:$(cat postgres_password)@pgbouncer:6432/palisade"
keep database_url_direct "postgresql://palisade:$(cat postgres_password)@postgres:5432/palisade"
keep redis_url "redis://:$(cat valkey_password)@valkey:6379/0"
keep pgbouncer_users "\"palisade\" \"$(cat postgres_password)\""
# The containers' users read them; the folder keeps everybody else out.
chmod 444 ./*
