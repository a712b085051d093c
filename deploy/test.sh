#!/usr/bin/env bash
# Builds everything and runs every test; ends with CTest's summary and its exit code.
#
# usage: deploy/test.sh [argument for ctest]...
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$repository/build

"$repository/deploy/install-packages.sh" build run test
cmake -G Ninja -B "$build" -S "$repository" -DBUILD_TESTING=ON >/dev/null
ninja -C "$build"

jobs=$(nproc)
jobs=$((jobs < 2 ? 2 : jobs > 4 ? 4 : jobs)) # many tests wait for time to pass, few for the processor
ctest --test-dir "$build" --output-on-failure --no-tests=error --parallel "$jobs" "$@"
