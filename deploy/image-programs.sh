#!/usr/bin/env bash
# Builds the programs for an image, into /usr/local; for the Dockerfile.
#
# usage: image-programs.sh packages|build [ARCHITECTURE]
#   packages       installs what it takes
#   ARCHITECTURE   as Docker calls it: amd64, arm64, arm; without: this machine's
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
here=$(dpkg --print-architecture)
architecture=${2:-$here}
if [[ $architecture == arm ]]; then
    architecture=armhf
fi

case $1 in
packages)
    groups=(build)
    if [[ $architecture != "$here" ]]; then
        groups+=(cross "cross-$architecture")
    fi
    "$repository/deploy/install-packages.sh" "${groups[@]}"
    ;;
build)
    if [[ $architecture == "$here" ]]; then
        build=$repository/build
        cmake -G Ninja -B "$build" -S "$repository" -DBUILD_TESTING=OFF
        ninja -C "$build"
    else
        build=$repository/build-$architecture
        "$repository/deploy/cross-build.sh" "$architecture" --programs
    fi
    cmake --install "$build" --prefix /usr/local --strip
    ;;
*)
    echo "image-programs.sh: expected packages or build, got \"$1\"" >&2
    exit 2
    ;;
esac
