#!/usr/bin/env bash
# Node-RED and its dashboard from npm, exactly as package-lock.json says, into FOLDER; nothing when they are there.
#
# usage: install.sh FOLDER
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
folder=$1

fail() {
    printf 'tests/node-red: %s\n' "$*" >&2
    exit 1
}

command -v npm >/dev/null || fail "there is no npm; deploy/install-packages.sh test installs it"
if cmp --silent "$here/package-lock.json" "$folder/installed"; then
    exit 0
fi
mkdir -p "$folder"
cp -- "$here/package.json" "$here/package-lock.json" "$folder"
# Without install scripts: none of what is used needs any, and a test should not run strangers' programs.
npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error \
    --cache "$folder/npm-cache" >"$folder/npm.log" 2>&1 || {
    tail -n 15 "$folder/npm.log" >&2
    fail "npm cannot install Node-RED: is its registry reachable from here? The whole log is $folder/npm.log"
}
rm -rf -- "$folder/npm-cache"
cp -- "$here/package-lock.json" "$folder/installed"
