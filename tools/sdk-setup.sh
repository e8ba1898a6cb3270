#!/usr/bin/env bash
# Gets the SDKs that the tests in integration/sdk use.   tools/sdk-setup.sh [python|node|go]...   (no argument: all)
#   python  two virtual environments, .cache/sdk/py26 (pymilvus 2.6) and .cache/sdk/py30 (pymilvus 3.0)
#   node    integration/sdk/node/node_modules, from the committed package-lock.json
#   go      the module cache, for integration/sdk/go (its own module, outside go.work)
# Versions are pinned in integration/sdk. Safe to repeat, and quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache/sdk
mkdir -p "$cache"

need() { # COMMAND WHAT-TO-DO
  command -v "$1" >/dev/null || { echo "sdk-setup: $1 is missing: $2" >&2; exit 1; }
}

sum() { cat "$@" | sha256sum | cut -d' ' -f1; }

# done_before STAMP SUM: whether an earlier run finished with the same inputs.
done_before() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }

python_env() { # NAME
  local dir=$cache/$1 reqs=integration/sdk/python/requirements-$1.txt want
  want=$(sum "$reqs")
  done_before "$dir/.installed" "$want" && "$dir/bin/python" -c '' 2>/dev/null && return 0
  echo "sdk-setup: $1 ($(grep ^pymilvus== "$reqs"))"
  rm -rf "$dir"
  "$python" -m venv "$dir" || { echo "sdk-setup: $python cannot make virtual environments (Debian: apt install python3-venv)" >&2; exit 1; }
  "$dir/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$reqs"
  echo "$want" >"$dir/.installed"
}

setup_python() {
  python=${PYTHON:-python3}
  need "$python" "install Python 3.11 or newer, or set PYTHON"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "sdk-setup: $python is $("$python" -V 2>&1); the pinned packages need 3.11 or newer (set PYTHON)" >&2; exit 1; }
  for name in py26 py30; do python_env $name; done
}

setup_node() {
  need node "install Node.js 20 or newer"
  need npm "install npm"
  local dir=integration/sdk/node want
  want=$(sum $dir/package.json $dir/package-lock.json)
  done_before $dir/node_modules/.installed "$want" && return 0
  echo "sdk-setup: node ($(node --version))"
  (cd $dir && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >"$cache/npm.log" 2>&1) ||
    { echo "sdk-setup: npm ci in $dir did not work:" >&2; tail -20 "$cache/npm.log" >&2; exit 1; }
  echo "$want" >$dir/node_modules/.installed
}

setup_go() {
  need go "install Go"
  local want
  want=$(sum integration/sdk/go/go.mod integration/sdk/go/go.sum)
  done_before "$cache/go.downloaded" "$want" && return 0
  echo "sdk-setup: go"
  (cd integration/sdk/go && GOWORK=off go test -count=1 -run '^$' ./... >/dev/null)
  echo "$want" >"$cache/go.downloaded"
}

[ $# -gt 0 ] || set -- python node go
for what; do
  case $what in
  python | node | go) "setup_$what" ;;
  *) echo "usage: tools/sdk-setup.sh [python|node|go]..." >&2; exit 2 ;;
  esac
done
