#!/usr/bin/env bash
# Installs the Debian 12 packages this project needs, and nothing when they are all there.
#
# usage: deploy/install-packages.sh [group]...
#   build   compiler, CMake and libraries
#   run     Mosquitto and its clients, for the demo and the tests
#   test    what the tests need besides
#   checks  linters and sanitizers, for .ci/run
# Without a group: build run test.
#
# Debian starts and enables a freshly installed Mosquitto as a system service on port 1883. That is prevented here:
# the project starts brokers of its own. One that is installed already is left alone, running or not.
set -euo pipefail

packages_of() {
    case $1 in
    build)
        echo g++ cmake ninja-build pkg-config libpaho-mqttpp-dev libpaho-mqtt-dev libssl-dev nlohmann-json3-dev \
            libcurl4-openssl-dev libmodbus-dev libspdlog-dev libfmt-dev libyaml-cpp-dev libasio-dev libcpp-httplib-dev \
            tzdata
        ;;
    run) echo mosquitto mosquitto-clients ;;
    test) echo doctest-dev ;;
    checks) echo ccache clang-14 clang-format-14 clang-tidy-14 libclang-rt-14-dev shellcheck ;;
    *)
        echo "install-packages.sh: unknown group \"$1\", expected build, run, test or checks" >&2
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
forbid_starting_mosquitto() {
    if [[ -x $policy ]]; then
        local answer=0
        "$policy" mosquitto start >/dev/null 2>&1 || answer=$?
        if ((answer == 101)); then
            return # forbidden already, as in most containers
        fi
        mv "$policy" "$policy_before"
    fi
    cat >"$policy" <<EOF
#!/bin/sh
case "\$*" in *mosquitto*) exit 101 ;; esac
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
disable_mosquitto() {
    if command -v systemctl >/dev/null; then
        systemctl disable --quiet mosquitto.service 2>/dev/null
    elif command -v update-rc.d >/dev/null; then
        update-rc.d mosquitto disable
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
    local mosquitto_is_new=no
    if [[ " $* " == *" mosquitto "* ]]; then
        mosquitto_is_new=yes
        forbid_starting_mosquitto
    fi
    quietly apt-get update -qq
    quietly apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "$@"
    if [[ $mosquitto_is_new == yes ]]; then
        disable_mosquitto
    fi
}

main() {
    if [[ ${1-} == --install-as-root ]]; then
        install "${@:2}"
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
