#!/usr/bin/env bash
# Renews base.txt, tracing.txt and dev.txt from their .in, with hashes. `make lock` runs it.
set -eu
cd "$(dirname "$0")/.."
[ -x .venv/bin/uv ] || .venv/bin/python -m pip install --quiet uv
for name in base tracing dev; do
  .venv/bin/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
    --custom-compile-command "make lock" -o "requirements/$name.txt" "requirements/$name.in"
done
