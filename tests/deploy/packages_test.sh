#!/usr/bin/env bash
# The Debian packages: made, looked into, installed in a root of their own, upgraded, removed and purged there. Their
# maintainer scripts run for real, with DPKG_ROOT; everything runs under fakeroot, so root is not needed.
#
# usage: packages_test.sh SOURCE_FOLDER BUILD_FOLDER
set -euo pipefail

if [[ -z ${FAKEROOTKEY-} ]]; then
    exec fakeroot -- "${BASH_SOURCE[0]}" "$@"
fi
source_folder=$1
build=$2
scratch=$(mktemp --directory --tmpdir twc-mqtt-packages-test.XXXXXX)
broker_pid=
finish() {
    if [[ -n $broker_pid ]]; then
        kill "$broker_pid" 2>/dev/null || true
    fi
    rm -rf -- "$scratch"
}
trap finish EXIT
PATH=$PATH:/usr/sbin:/sbin
root=$scratch/root
services=(twc-bus ems-bridge tesla-bridge policy-engine)
version=$(sed -n 's/^set(CPACK_PACKAGE_VERSION "\(.*\)")$/\1/p' "$build/CPackConfig.cmake")

fail() {
    echo "FAILED: $*"
    [[ ! -e $scratch/log ]] || tail -n 30 "$scratch/log"
    exit 1
}

# expect WHAT COMMAND...
expect() {
    local what=$1
    shift
    "$@" >"$scratch/log" 2>&1 || fail "$what: $*"
}

expect_not() {
    local what=$1
    shift
    ! "$@" >"$scratch/log" 2>&1 || fail "$what: $*"
}

deb_of() { echo "$scratch"/debs/"$1"_"$version"_*.deb; }

make_packages() {
    expect "cpack makes packages" cpack --config "$build/CPackConfig.cmake" -B "$scratch/debs"
    local name
    for name in "${services[@]}" twc-mqtt; do
        expect "there is a package $name" test -s "$(deb_of "$name")"
    done
}

field_has() { [[ $(dpkg-deb --field "$(deb_of "$1")" "$2") == *$3* ]]; }

# Of a list of dependencies.
names_of() { tr ',' '\n' | sed 's/ *(.*//; s/^ *//' | sort; }

contents_are() {
    local service
    for service in "${services[@]}"; do
        dpkg-deb --contents "$(deb_of "$service")" >"$scratch/contents"
        local file
        for file in "/usr/bin/$service" "/lib/systemd/system/$service.service" "/etc/twc-mqtt/$service.yaml" \
            "/usr/lib/sysusers.d/$service.conf" "/usr/lib/tmpfiles.d/$service.conf" "/usr/share/doc/$service/copyright"; do
            expect "$service brings $file" grep -q " root/root .* \.$file\$" "$scratch/contents"
        done
        expect_not "tests stay at home" grep -q fixtures "$scratch/contents"
        expect "$service names its configuration a conffile" test \
            "$(dpkg-deb --ctrl-tarfile "$(deb_of "$service")" | tar -xO ./conffiles)" = "/etc/twc-mqtt/$service.yaml"
        expect "$service depends on the MQTT library" field_has "$service" Depends libpaho-mqttpp3-1
        expect "cross builds of $service name the same libraries" diff <(names_of <"$build/deploy/$service/libraries") \
            <(dpkg-deb --field "$(deb_of "$service")" Depends | sed 's/^systemd, //' | names_of)
        expect "$service is one of twc-mqtt" field_has twc-mqtt Depends "$service (= $version)"
    done
    expect "ems-bridge depends on its libraries" field_has ems-bridge Depends libmodbus5
    expect "ems-bridge depends on its libraries" field_has ems-bridge Depends libpugixml1v5
    expect "twc-mqtt recommends a broker" field_has twc-mqtt Recommends mosquitto
}

# What Debian's own packages brought is known there, so that dependencies are judged, not forced.
make_root() {
    mkdir -p "$root"/etc "$root"/var/lib/dpkg/{info,updates,triggers}
    cp /var/lib/dpkg/status "$root/var/lib/dpkg/status"
    printf 'root:x:0:0:root:/root:/bin/bash\n' >"$root/etc/passwd"
    printf 'root:x:0:\ndialout:x:20:\n' >"$root/etc/group"
}

dpkg_() {
    DEBIAN_FRONTEND=noninteractive dpkg --root="$root" --log=/dev/null \
        --force-script-chrootless "$@" </dev/null
}

status_of() { dpkg-query --admindir="$root/var/lib/dpkg" --show --showformat='${db:Status-Status}' "$1" 2>/dev/null; }

is_in_root() { [[ -e $root$1 ]]; }

mode_of() { stat --format '%a %u:%g' "$root$1"; }

# The number of an entry of passwd or group in the root.
id_in() { sed -n "s/^$2:[^:]*:\([0-9]*\):.*/\1/p" "$root/etc/$1"; }

installs() {
    expect "they install" dpkg_ --install "$scratch"/debs/*.deb
    local user group service
    for service in "${services[@]}" twc-mqtt; do
        expect "$service is configured" test "$(status_of "$service")" = installed
    done
    user=$(id_in passwd twc-mqtt)
    group=$(id_in group twc-mqtt)
    expect "there is a user without a shell" grep -q '^twc-mqtt:.*:/usr/sbin/nologin$' "$root/etc/passwd"
    expect_not "he may not use every serial port" grep -q '^dialout:.*twc-mqtt' "$root/etc/group"
    expect "secrets are closed" test "$(mode_of /etc/twc-mqtt/secrets)" = "750 0:$group"
    expect "state is closed" test "$(mode_of /var/lib/twc-mqtt)" = "750 $user:$group"
    for service in "${services[@]}"; do
        expect "$service runs and takes the shipped configuration" "$root/usr/bin/$service" --check-config \
            --config "$root/etc/twc-mqtt/$service.yaml"
    done
    printf 'sources:\n  - {name: x, template: shelly-3em, host: 192.0.2.1}\n' >"$scratch/template.yaml"
    expect "ems-bridge finds the templates" "$root/usr/bin/ems-bridge" --check-config --config "$scratch/template.yaml"
    expect "live-view runs" "$root/usr/bin/live-view" --version
    local option
    for option in mqtt-login.sh broker-tls.sh broker/tls.conf broker/websockets.conf broker/bridge.conf broker/hub.acl; do
        expect "what README names is there without the sources" is_in_root "/usr/share/twc-mqtt/$option"
    done
}

# Mosquitto as Debian configures it, with what twc-mqtt-broker added; only the port is another, so that tests can run
# side by side.
broker_is_set_up() {
    local port patience
    grep '^mosquitto:' /etc/passwd >>"$root/etc/passwd"
    mkdir -p "$root/etc/mosquitto/conf.d" "$root/var/lib/mosquitto"
    printf '%s\n' "pid_file $root/mosquitto.pid" 'persistence true' "persistence_location $root/var/lib/mosquitto/" \
        'log_dest stderr' "include_dir $root/etc/mosquitto/conf.d" >"$root/etc/mosquitto/mosquitto.conf"
    expect "the broker is set up" "$root/usr/sbin/twc-mqtt-broker" "$root"
    local password
    password=$(cat "$root/etc/twc-mqtt/secrets/policy-engine/password")
    expect "and once more" "$root/usr/sbin/twc-mqtt-broker" "$root"
    expect "passwords are kept" grep -q -x "$password" "$root/etc/twc-mqtt/secrets/policy-engine/password"
    expect "secrets are closed again" test "$(mode_of /etc/twc-mqtt/secrets)" = "750 0:$(id_in group twc-mqtt)"
    expect "services are told their names" grep -q 'mqtt.username=twc-bus' "$root/etc/default/twc-bus"
    expect "only this machine is served" grep -q -x 'listener 1883 127.0.0.1' "$root/etc/mosquitto/conf.d/twc-mqtt.conf"

    for port in $((20000 + RANDOM % 6000)) $((26000 + RANDOM % 6000)); do
        sed -i "s/^listener .*/listener $port 127.0.0.1/" "$root/etc/mosquitto/conf.d/twc-mqtt.conf"
        mosquitto -c "$root/etc/mosquitto/mosquitto.conf" 2>"$scratch/mosquitto.log" &
        broker_pid=$!
        for ((patience = 100; patience > 0; --patience)); do
            kill -0 "$broker_pid" 2>/dev/null || break
            if mosquitto_pub -h 127.0.0.1 -p "$port" -u policy-engine -P "$password" -t twc/policy/x -m x 2>/dev/null; then
                break 2
            fi
            sleep 0.1
        done
    done
    cp "$scratch/mosquitto.log" "$scratch/log"
    if ((patience == 0)) || ! kill -0 "$broker_pid"; then
        fail "Mosquitto does not start with what was set up"
    fi
    expect_not "a wrong password is refused" mosquitto_pub -h 127.0.0.1 -p "$port" -u policy-engine -P x -t twc/x -m x
    local refused
    refused=$(mosquitto_pub -h 127.0.0.1 -p "$port" -u policy-engine -P "$password" -V 5 -q 1 -t twc/bus/state -m x 2>&1 || true)
    expect "the rules hold" grep -q 'ot authorized' <<<"$refused"
    kill "$broker_pid"
    wait "$broker_pid" || true
    broker_pid=
}

units_are_hardened() {
    mkdir "$scratch/units"
    local service unit
    for service in "${services[@]}"; do
        unit=$root/lib/systemd/system/$service.service
        expect "$service is hardened to 2.0" systemd-analyze security --offline=true --threshold=20 "$unit"
        tail -n 1 "$scratch/log"
        sed "s|/usr/bin/$service|$root&|" "$unit" >"$scratch/units/$service.service"
        expect "its unit is valid" systemd-analyze --man=no verify "$scratch/units/$service.service"
        expect "systemd finds nothing to complain about" test ! -s "$scratch/log"
    done
}

# repack NAME NEW_VERSION [TEXT]: the package as a later version, its configuration with TEXT at its end.
repack() {
    local folder=$scratch/repack
    rm -rf -- "$folder"
    dpkg-deb --raw-extract "$(deb_of "$1")" "$folder"
    sed -i "s/^Version: .*/Version: $2/" "$folder/DEBIAN/control"
    printf '%s' "${3-}" >>"$folder/etc/twc-mqtt/$1.yaml"
    dpkg-deb --build "$folder" "$scratch/$1-$2.deb" >/dev/null
}

upgrades() {
    local config=$root/etc/twc-mqtt/twc-bus.yaml
    echo 'kept' >"$root/var/lib/twc-mqtt/twc-bus.json"
    sed -i 's/^  wiring_max_a: 32 /  wiring_max_a: 20 /' "$config"
    expect "the limit of the house is set" grep -q '^  wiring_max_a: 20 ' "$config"

    repack twc-bus 9.1
    expect "an upgrade" dpkg_ --install --force-depends "$scratch/twc-bus-9.1.deb"
    expect "asks nothing about a configuration that only its owner changed" grep -q '^  wiring_max_a: 20 ' "$config"

    repack twc-bus 9.2 $'# something new\n'
    expect "an upgrade with another default" dpkg_ --install --force-depends --force-confdef --force-confold \
        "$scratch/twc-bus-9.2.deb"
    expect "keeps what its owner wrote" grep -q '^  wiring_max_a: 20 ' "$config"
    expect "and shows the new default beside it" grep -q 'something new' "$config.dpkg-dist"
    expect "state is kept" grep -q kept "$root/var/lib/twc-mqtt/twc-bus.json"
}

removes_and_purges() {
    echo 'mine' >"$root/var/lib/twc-mqtt/notes"
    expect "they are removed" dpkg_ --remove twc-mqtt "${services[@]}"
    local service
    for service in "${services[@]}"; do
        expect_not "its program is gone" is_in_root "/usr/bin/$service"
        expect_not "its unit is gone" is_in_root "/lib/systemd/system/$service.service"
        expect "its configuration stays" is_in_root "/etc/twc-mqtt/$service.yaml"
    done
    expect "energy counters stay" is_in_root /var/lib/twc-mqtt/twc-bus.json

    expect "they are purged" dpkg_ --purge "${services[@]}" twc-mqtt
    expect_not "nothing of it is left in /etc" is_in_root /etc/twc-mqtt
    expect_not "nor of what was set up" is_in_root /etc/mosquitto/conf.d/twc-mqtt.conf
    expect_not "nor are its options" is_in_root /etc/default/twc-bus
    expect_not "nor of its state" is_in_root /var/lib/twc-mqtt/twc-bus.json
    expect "but what somebody else put there" is_in_root /var/lib/twc-mqtt/notes
}

cd -- "$source_folder"
make_packages
contents_are
make_root
installs
broker_is_set_up
units_are_hardened
upgrades
removes_and_purges
echo "five packages come, are upgraded and go as they should"
