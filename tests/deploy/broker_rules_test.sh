#!/usr/bin/env bash
# The shipped broker configuration and ACL on a real Mosquitto: who may publish what, and who is given what.
#
# usage: broker_rules_test.sh SOURCE_FOLDER
set -euo pipefail

source_folder=$1
PATH=$PATH:/usr/sbin
run=$(mktemp --directory --tmpdir twc-mqtt-broker-rules.XXXXXX)
chmod 711 "$run"
broker_pid=
failures=0

finish() {
    if [[ -n $broker_pid ]]; then
        kill "$broker_pid" 2>/dev/null || true
        wait "$broker_pid" 2>/dev/null || true
    fi
    rm -rf -- "$run"
}
trap finish EXIT

port=$((20000 + RANDOM % 12000))
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    port=$((port + 1))
done
"$source_folder/deploy/local-broker.sh" "$run" "$port"
as_user=()
if ((EUID == 0)); then
    as_user=(setpriv --reuid mosquitto --regid mosquitto --init-groups)
fi
"${as_user[@]}" mosquitto -c "$run/broker/mosquitto.conf" 2>"$run/log" &
broker_pid=$!

# login USER: sets `login` to what a client needs to be that user; "" is nobody.
login() {
    login=(-h 127.0.0.1 -p "$port")
    if [[ -n $1 ]]; then
        login+=(-u "$1" -P "$(cat "$run/secrets/$1/password")")
    fi
}

for ((patience = 50; patience > 0; --patience)); do
    login ""
    if mosquitto_sub "${login[@]}" -t "\$SYS/broker/uptime" -C 1 -W 1 >/dev/null 2>&1; then
        break
    fi
    kill -0 "$broker_pid" 2>/dev/null || {
        cat "$run/log"
        exit 1
    }
    sleep 0.1
done

# A refused publication is the only difference an MQTT 5 client sees.
may_publish() {
    local output
    login "$1"
    output=$(mosquitto_pub "${login[@]}" -V 5 -q 1 -t "$2" -m x 2>&1) || return 1
    [[ $output != *"ot authorized"* ]]
}

expect() {
    local expected=$1 user=$2 topic=$3 actual=no
    may_publish "$user" "$topic" && actual=yes
    if [[ $actual != "$expected" ]]; then
        echo "FAILED: ${user:-nobody} publishes to $topic: $actual, expected $expected"
        failures=$((failures + 1))
    fi
}

expect yes twc-bus twc/service/twc-bus/status
expect yes twc-bus twc/bus/state
expect yes twc-bus twc/bus/granted_a
expect yes twc-bus twc/charger/7744/state
expect yes twc-bus twc/charger/7744/event
expect no twc-bus twc/bus/limit/set
expect no twc-bus twc/policy/state
expect no twc-bus twc/service/ems-bridge/status
expect yes twc-bus homeassistant/sensor/twc-bus/charger-7744_power_w/config
expect no twc-bus homeassistant/sensor/ems-bridge/grid_w/config
expect yes ems-bridge twc/ems/state
expect yes ems-bridge twc/ems/grid_a/1
expect yes ems-bridge twc/ems/source/roof/state
expect no ems-bridge twc/bus/limit/set
expect yes tesla-bridge twc/vehicle/kestrel/state
expect no tesla-bridge twc/vehicle/kestrel/command/wake/set
expect yes policy-engine twc/policy/state
expect yes policy-engine twc/policy/charger/7744/state
expect yes policy-engine twc/bus/limit/set
expect yes policy-engine twc/vehicle/kestrel/command/charge_start/set
expect no policy-engine twc/charger/7744/state
expect yes house-sim twc/house-sim/state
expect yes "" twc/house-sim/cloud/set
for front_end in "" ha nodered cli; do
    expect yes "$front_end" twc/policy/mode/set
    expect yes "$front_end" twc/policy/override/set
    expect yes "$front_end" twc/policy/override/7744/set
    expect yes "$front_end" twc/policy/charger/7744/max_a/set
    expect yes "$front_end" twc/policy/vehicle/kestrel/priority/set
    expect yes "$front_end" twc/ems/input/grid_power/set
    expect yes "$front_end" twc/bus/estop/set
    expect no "$front_end" twc/bus/limit/set
    expect no "$front_end" twc/bus/state
    expect no "$front_end" twc/charger/7744/state
    expect no "$front_end" twc/vehicle/kestrel/command/charge_start/set
    expect no "$front_end" twc/policy/state
    expect no "$front_end" twc/service/policy-engine/status
done
expect no healthcheck twc/policy/mode/set

# Retained by their writers above all; a reader gets what it is allowed to, and nothing else within a second.
is_given() {
    local user=$1 writer=$2 topic=$3
    login "$writer"
    mosquitto_pub "${login[@]}" -V 5 -q 1 -r -t "$topic" -m given >/dev/null 2>&1
    login "$user"
    [[ $(mosquitto_sub "${login[@]}" -t "$topic" -C 1 -W 1 2>/dev/null || true) == given ]]
}

expect_given() {
    local expected=$1 actual=no
    is_given "$2" "$3" "$4" && actual=yes
    if [[ $actual != "$expected" ]]; then
        echo "FAILED: ${2:-nobody} is given $4: $actual, expected $expected"
        failures=$((failures + 1))
    fi
}

expect_given yes twc-bus policy-engine twc/bus/limit/set
expect_given yes tesla-bridge policy-engine twc/vehicle/kestrel/command/wake/set
expect_given yes policy-engine twc-bus twc/charger/7744/state
expect_given yes ems-bridge cli twc/ems/input/grid_power/set
expect_given yes "" policy-engine twc/policy/state
expect_given no healthcheck policy-engine twc/policy/state
expect_given yes twc-bus ems-bridge twc/ems/state
expect_given no tesla-bridge ems-bridge twc/ems/state

if mosquitto_pub -h 127.0.0.1 -p "$port" -u twc-bus -P wrong -t twc/bus/state -m x >/dev/null 2>&1; then
    echo "FAILED: a wrong password was accepted"
    failures=$((failures + 1))
fi
if ((failures > 0)); then
    exit 1
fi
echo "every rule holds"
