#!/usr/bin/env bash
# Installs the Debian 12 packages this project needs, and nothing when they are all there.
#
# usage: deploy/install-packages.sh [group]...
#   build   compiler, CMake and libraries
#   run     Mosquitto and its clients, for the demo and the tests
#   test    what the tests need besides
#   checks  linters and sanitizers, for .ci/run
#   cross, cross-arm64, cross-armhf   what deploy/cross-build.sh needs
#   libraries   those of build
# Without a group: build run test.
# `--list group` prints the packages of a group and installs nothing.
#
# Debian starts and enables a freshly installed Mosquitto as a system service on port 1883, and ser2net on some others.
# That is prevented here: the project starts its own. One that is installed already is left alone, running or not.
set -euo pipefail

packages_of() {
    case $1 in
    build) echo g++ cmake ninja-build pkg-config tzdata "$(packages_of libraries)" ;;
    libraries)
        echo libc6-dev libstdc++-12-dev libpaho-mqttpp-dev libpaho-mqtt-dev libssl-dev nlohmann-json3-dev \
            libcurl4-openssl-dev libmodbus-dev libspdlog-dev libfmt-dev libyaml-cpp-dev libasio-dev libcpp-httplib-dev \
            libpugixml-dev doctest-dev
        ;;
    cross) echo mmdebstrap qemu-user-static dpkg-dev file ;;
    cross-arm64) echo g++-aarch64-linux-gnu ;;
    cross-armhf) echo g++-arm-linux-gnueabihf ;;
    run) echo mosquitto mosquitto-clients ;;
    test)
        echo ser2net dpkg-dev fakeroot file systemd
        command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm # however they came here
        ;;
    checks) echo ccache clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev shellcheck ;;
    *)
        echo "install-packages.sh: unknown group \"$1\", expected one of those named in this file's first lines" >&2
        exit 2
        ;;
    esac
}

is_installed() {
    [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

policy=/usr/sbin/policy-rc.d
policy_before=$policy.before-twc-mqtt

# Debian's maintainer scripts ask this file before they start a service.
is_forbidden() {
    local answer=0
    [[ -x $policy ]] || return 1
    "$policy" "$1" start >/dev/null 2>&1 || answer=$?
    ((answer == 101)) # so it is in most containers
}

forbid_starting() {
    local service needed=no
    for service in "$@"; do
        is_forbidden "$service" || needed=yes
    done
    if [[ $needed == no ]]; then
        return
    fi
    if [[ -x $policy ]]; then
        mv "$policy" "$policy_before"
    fi
    cat >"$policy" <<EOF
#!/bin/sh
case "\$*" in *mosquitto* | *ser2net*) exit 101 ;; esac
if [ -x $policy_before ]; then exec $policy_before "\$@"; fi
exit 0
EOF
    chmod 755 "$policy"
    trap restore_policy EXIT
}

restore_policy() {
    rm -f "$policy"
    if [[ -e $policy_before ]]; then
        mv "$policy_before" "$policy"
    fi
}

# Not even after the next boot.
disable() {
    if command -v systemctl >/dev/null; then
        systemctl disable --quiet "$1.service" 2>/dev/null
    elif command -v update-rc.d >/dev/null; then
        update-rc.d "$1" disable
    fi
}

# Says something only when it goes wrong.
quietly() {
    local output
    if ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" >&2
        echo "install-packages.sh: $* failed" >&2
        return 1
    fi
}

install() {
    export DEBIAN_FRONTEND=noninteractive
    local service services=()
    for service in mosquitto ser2net; do
        [[ " $* " != *" $service "* ]] || services+=("$service")
    done
    forbid_starting "${services[@]}"
    quietly apt-get update -qq
    quietly apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
    for service in "${services[@]}"; do
        disable "$service"
    done
}

main() {
    if [[ ${1-} == --install-as-root ]]; then
        install "${@:2}"
        return
    fi
    if [[ ${1-} == --list ]]; then
        packages_of "$2"
        return
    fi
    if (($# == 0)); then
        set -- build run test
    fi
    local group list package missing=()
    for group in "$@"; do
        list=$(packages_of "$group")
        for package in $list; do
            is_installed "$package" || missing+=("$package")
        done
    done
    if ((${#missing[@]} == 0)); then
        return
    fi
    echo "installing ${missing[*]}"
    if ((EUID == 0)); then
        install "${missing[@]}"
    elif command -v sudo >/dev/null; then
        sudo -- "${BASH_SOURCE[0]}" --install-as-root "${missing[@]}"
    else
        echo "install-packages.sh: these packages are missing, and neither root nor sudo is available to install them:" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 1
    fi
}

main "$@"
