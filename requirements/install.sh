#!/usr/bin/env bash
# Makes .venv hold what a lock says: `requirements/install.sh base` to run Palisade, `dev` to work on it.
# Does nothing when that is so already. `dev` holds all of `base`: where dev was installed, dev is kept up to date.
set -eu
cd "$(dirname "$0")/.."
exec 9<requirements/install.sh && flock 9 # `make up` and `make test` may start together
wanted=$1
installed=.venv/installed # which lock was installed, its digest, and where: a moved .venv doesn't work

stamp() { echo "$1 $(cat "requirements/$1.txt" $([ "$1" = base ] || echo tests/clients/package-lock.json) | sha256sum) $PWD"; }
holds() { grep -qxF "$(stamp "$1")" "$installed" 2>/dev/null && .venv/bin/python -c '' 2>/dev/null; }
is_3_11() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

find_python() {
  for candidate in "${PYTHON:-python3}" python3.11; do
    if is_3_11 "$candidate"; then echo "$candidate" && return; fi
  done
  echo "Palisade needs Python 3.11; ${PYTHON:-python3} is $("${PYTHON:-python3}" --version 2>&1 || true)." >&2
  echo "If you have it elsewhere: make up PYTHON=/path/to/python3.11" >&2
  exit 1
}

make_venv() {
  python=$(find_python)
  rm -rf .venv
  "$python" -m venv .venv || {
    echo "'$python -m venv .venv' failed. On Debian and Ubuntu it needs: apt-get install python3-venv" >&2
    exit 1
  }
}

# uv installs in seconds what takes pip a minute. Where it can't be had, pip does the same.
install() {
  pip=".venv/bin/python -m pip install --quiet --disable-pip-version-check"
  if [ -x .venv/bin/uv ] || $pip uv; then
    .venv/bin/uv pip sync --quiet --require-hashes --python .venv/bin/python "requirements/$1.txt" && return
    echo "uv could not install it; trying pip." >&2
  fi
  $pip --require-hashes -r "requirements/$1.txt"
}

# The TypeScript client of the tests is made with these; without them its test is skipped and says so.
install_node_packages() {
  timeout 120 npm ci --silent --fetch-retries=1 --prefix tests/clients ||
    echo "npm could not install tests/clients/package-lock.json: the test of the TypeScript client will be skipped." >&2
}

if holds "$wanted" || holds dev; then exit 0; fi
if grep -qs '^dev ' "$installed"; then wanted=dev; fi
echo "palisade: installing requirements/$wanted.txt into .venv ..."
if ! is_3_11 .venv/bin/python || ! grep -qsF " $PWD" "$installed"; then make_venv; fi
rm -f "$installed"
install "$wanted"
if [ "$wanted" = dev ]; then install_node_packages; fi
stamp "$wanted" >"$installed"
