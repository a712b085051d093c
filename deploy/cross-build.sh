#!/usr/bin/env bash
# Builds for a Raspberry Pi or another ARM machine with Debian 12, on this one: with Debian's cross compiler and, in a
# folder, the libraries of that architecture. Then runs what needs no devices under QEMU's user emulation: all tests of
# what decides, and each program once. Makes Debian packages.
#
# usage: deploy/cross-build.sh arm64|armhf [--no-tests | --programs]
#   --programs            no tests and no packages, for the container image
#   build-ARCH/sysroot    the libraries, unpacked, nothing of them is installed
#   build-ARCH/packages   the result: *.deb
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

fail() {
    printf 'cross-build.sh: %s\n' "$*" >&2
    exit 2
}

case ${1-} in
arm64) triplet=aarch64-linux-gnu processor=aarch64 emulator=qemu-aarch64-static ;;
armhf) triplet=arm-linux-gnueabihf processor=armv7l emulator=qemu-arm-static ;;
*) fail "expected arm64 or armhf, got \"${1-}\"" ;;
esac
architecture=$1
tests=ON packages=yes
case "${*:2}" in
"") ;;
--no-tests) tests=OFF ;;
--programs) tests=OFF packages=no ;;
*) fail "expected nothing, --no-tests or --programs after $1, got \"${*:2}\"" ;;
esac
build=$repository/build-$architecture
sysroot=$build/sysroot

make_sysroot() {
    [[ ! -e $sysroot/complete ]] || return 0
    printf 'unpacking the libraries of %s\n' "$architecture"
    mkdir -p "$build"
    rm -rf -- "$sysroot"
    local packages
    packages=$("$repository/deploy/install-packages.sh" --list libraries)
    # The stable archive alone: it is only linked against, what runs later comes from the other machine.
    mmdebstrap --quiet --variant=extract --architectures="$architecture" --include="${packages// /,}" bookworm \
        "$sysroot" "deb http://deb.debian.org/debian bookworm main"
    touch "$sysroot/complete"
}

# Tests whose subject is a decision or a format: no sockets, no processes, no measured time.
run_pure_tests() {
    local failed=0
    run_tests() {
        printf '%s: ' "$1"
        "$emulator" -L "$sysroot" "$build/bin/$1" "${@:2}" >"$build/$1.log" 2>&1 || failed=1
        sed -n 's/^\[doctest\] test cases: *//p' "$build/$1.log"
    }
    run_tests common-test --source-file='*schema_test*,*section_test*,*topics_test*,*messages_test*,*timestamp_test*,*civil_time_test*,*scheduler_test*,*command_value_test*,*state_publisher_test*,*message_bus_test*,*outbox_test*,*in_memory_broker_test*'
    run_tests twc-bus-test --source-file-exclude='*links_test*,*rfc2217_link_test*,*property_test*'
    run_tests policy-engine-test --source-file-exclude='*property_test*,*peer_laws_test*,*optimum_test*,*law_test*,*policy_sim_test*,*simulation_test*'
    return "$failed"
}

main() {
    "$repository/deploy/install-packages.sh" build cross "cross-$architecture"
    make_sysroot
    cmake -G Ninja -B "$build" -S "$repository" -DCMAKE_TOOLCHAIN_FILE="$repository/deploy/cross-toolchain.cmake" \
        -DCROSS_TRIPLET="$triplet" -DCROSS_PROCESSOR="$processor" -DCROSS_SYSROOT="$sysroot" \
        -DCROSS_EMULATOR="$(command -v "$emulator")" -DDEBIAN_ARCHITECTURE="$architecture" -DCMAKE_INSTALL_PREFIX=/usr \
        -DBUILD_TESTING="$tests" >/dev/null
    local programs=(twc-bus ems-bridge tesla-bridge policy-engine house-sim live-view) program targets=()
    targets=("${programs[@]}" policy-sim)
    if [[ $tests == ON ]]; then
        targets+=(common-test twc-bus-test policy-engine-test)
    fi
    ninja -C "$build" "${targets[@]}"
    for program in "${programs[@]}"; do
        "$emulator" -L "$sysroot" "$build/bin/$program" --version
    done
    if [[ $tests == ON ]]; then
        run_pure_tests || fail "tests failed under $emulator, see $build/*-test.log"
    fi
    if [[ $packages == no ]]; then
        return
    fi
    cpack --config "$build/CPackConfig.cmake" -B "$build/packages" >/dev/null
    rm -rf -- "$build/packages/_CPack_Packages"
    ls -- "$build"/packages/*.deb
}

main
