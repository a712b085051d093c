#!/usr/bin/env bash
# Brings docker-compose.yml up for real, with the simulated house, waits until a car charges, kills one after the other
# and sees each come back, and steers from Node-RED with a flow of deploy/node-red. Needs root on Debian 12 and no
# registry of images: it starts a Docker engine of its own, in a network namespace of its own, makes the base image with
# mmdebstrap, and ends and removes all of it. Takes some minutes, most of them the build.
#
# usage: deploy/compose-test.sh [--keep-images FOLDER]
#   --keep-images FOLDER   keep the engine's data there, so that the next run is quick
#   COMPOSE='docker compose'  in the environment: Compose v2, if it is installed; default is Debian's docker-compose 1.29
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
readonly repository
readonly namespace=twc-mqtt-compose-test
readonly project=twcmqttcomposetest
readonly services=(mosquitto house-sim twc-bus ems-bridge tesla-bridge policy-engine)
scratch=$(mktemp --directory --tmpdir twc-mqtt-compose.XXXXXX)
data=$scratch/root
read -r -a compose_command <<<"${COMPOSE:-docker-compose}"
engine_pid=
compose_is_up=no

say() { printf '%s\n' "$*"; }

fail() {
    printf 'compose-test.sh: %s\n' "$*" >&2
    exit 1
}

parse_arguments() {
    if (($# == 2)) && [[ $1 == --keep-images ]]; then
        mkdir -p -- "$2"
        data=$(cd -- "$2" && pwd)
    elif (($# > 0)); then
        fail "expected nothing or --keep-images FOLDER"
    fi
    ((EUID == 0)) || fail "needs root to start a Docker engine"
}

install_packages() {
    local package missing=()
    for package in curl docker.io docker-compose mmdebstrap iproute2; do
        dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' ||
            missing+=("$package")
    done
    if ((${#missing[@]} > 0)); then
        say "installing ${missing[*]}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    fi
    "$repository/deploy/install-packages.sh" run test
}

inside() { nsenter --net="/run/netns/$namespace" "$@"; }

docker_() { docker -H "unix://$scratch/docker.sock" "$@"; }

compose() {
    inside env DOCKER_HOST="unix://$scratch/docker.sock" "${compose_command[@]}" -p "$project" \
        -f "$repository/docker-compose.yml" --profile demo --profile nodered "$@"
}

# start_engine COMMAND-PREFIX... -- ARGUMENT...
start_engine() {
    local prefix=()
    while [[ $1 != -- ]]; do
        prefix+=("$1")
        shift
    done
    shift
    "${prefix[@]}" dockerd --data-root="$data" --exec-root="$scratch/exec" --pidfile="$scratch/docker.pid" \
        --host="unix://$scratch/docker.sock" --storage-driver=overlay2 "$@" >>"$scratch/dockerd.log" 2>&1 &
    engine_pid=$!
    local tenths
    for ((tenths = 300; tenths > 0; --tenths)); do
        if docker_ version >/dev/null 2>&1; then
            return
        fi
        if ! kill -0 "$engine_pid" 2>/dev/null; then
            break
        fi
        sleep 0.1
    done
    tail -n 20 "$scratch/dockerd.log" >&2
    fail "the Docker engine did not start"
}

stop_engine() {
    if [[ -n $engine_pid ]]; then
        kill "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" 2>/dev/null || true
        engine_pid=
    fi
}

end_everything() {
    local status=$?
    trap '' INT TERM
    trap - EXIT
    if [[ $compose_is_up == yes ]]; then
        if ((status != 0)); then
            compose ps || true
            compose logs --tail=20 || true
        fi
        compose down -v --timeout 5 || true
    fi
    stop_engine
    umount "$scratch"/exec/netns/* 2>/dev/null || true
    umount "$data/overlay2" 2>/dev/null || true
    ip netns del "$namespace" 2>/dev/null || true
    rm -rf -- "$scratch"
    exit "$status"
}

make_images() {
    if ! docker_ image inspect local/debian:12 >/dev/null 2>&1; then
        say "making the base image"
        mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm "$scratch/base.tar"
        docker_ import "$scratch/base.tar" local/debian:12 >/dev/null
    fi
    say "building the images"
    docker_ build --quiet --network host -t local/mosquitto:test - >/dev/null <<'EOF'
FROM local/debian:12
RUN groupadd --system --gid 1883 mosquitto && useradd --system --uid 1883 --gid 1883 --no-create-home mosquitto \
    && apt-get update -qq && apt-get install -y -qq --no-install-recommends mosquitto mosquitto-clients \
    && install -d -o mosquitto -g mosquitto /mosquitto/data /mosquitto/config
EOF
    # Laid out like nodered/node-red, with the packages that the tests of the flows use.
    "$repository/tests/node-red/install.sh" "$scratch/node-red"
    docker_ build --quiet --network host -t local/node-red:test -f - "$scratch/node-red" >/dev/null <<'EOF'
FROM local/debian:12
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nodejs \
    && useradd --uid 1000 node-red && install -d -o 1000 -g 1000 /data
WORKDIR /usr/src/node-red
COPY . .
RUN printf '#!/bin/sh\nexec node node_modules/node-red/red.js --userDir /data\n' >entrypoint.sh && chmod 755 entrypoint.sh
USER 1000:1000
EOF
    docker_ build --network host --build-arg BASE=local/debian:12 -t twc-mqtt:compose-test \
        -f "$repository/deploy/Dockerfile" "$repository" >"$scratch/build.log" 2>&1 || {
        tail -n 40 "$scratch/build.log" >&2
        fail "the image does not build"
    }
    say "twc-mqtt is $(docker_ image inspect --format '{{.Size}}' twc-mqtt:compose-test |
        awk '{printf "%.0f", $1 / 1e6}') MB, of which the base image $(docker_ image inspect --format '{{.Size}}' \
        local/debian:12 | awk '{printf "%.0f", $1 / 1e6}') MB"
}

container_state() {
    docker_ inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' \
        "$(compose ps -q "$1")" 2>/dev/null
}

await_health() {
    local service seconds state=
    for service in "${services[@]}"; do
        for ((seconds = 60; seconds > 0; --seconds)); do
            state=$(container_state "$service") || true
            [[ $state == healthy ]] && break
            sleep 1
        done
        [[ $state == healthy ]] || fail "$service is \"$state\", not healthy, after 60 s"
    done
    say "all are healthy"
}

# inspect SERVICE FORMAT
inspect() { docker_ inspect --format "$2" "$(compose ps -q "$1")"; }

check_confinement() {
    local service found
    for service in "${services[@]}"; do
        found=$(inspect "$service" '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} \
{{gt .HostConfig.Memory 0}} {{.Config.User}} {{.HostConfig.LogConfig.Config}}')
        [[ $found == "true [ALL] [no-new-privileges:true] "*"true 1"*max-size* ]] || fail "$service is not confined: $found"
        ! docker_ exec "$(compose ps -q "$service")" touch /usr/x 2>/dev/null || fail "$service may write to its image"
        [[ $service == mosquitto ]] ||
            [[ $(docker_ exec "$(compose ps -q "$service")" ls /secrets) == "$service" ]] ||
            fail "$service sees the secrets of others"
    done
    say "all are confined: no root, nothing writable, no capabilities, limited memory, own secrets only"
}

# As a crash does it: `docker kill` would be an order not to start again.
kill_and_await() {
    local service=$1 began=$SECONDS before pid
    before=$(inspect "$service" '{{.RestartCount}}')
    pid=$(inspect "$service" '{{.State.Pid}}')
    kill -KILL "$pid"
    until (($(inspect "$service" '{{.RestartCount}}') > before)); do
        ((SECONDS - began < 30)) || fail "$service was not started again"
        sleep 0.2
    done
    await_health
    await_charging
    say "$service was killed; a car charged again after $((SECONDS - began)) s"
}

password_of() { compose run --rm -T prepare cat "/secrets/$1/password"; }

await_charging() {
    local topic amps password
    password=$(password_of cli)
    while read -r topic amps; do
        if [[ ${amps%.*} =~ ^[0-9]+$ ]] && ((${amps%.*} >= 6)); then
            say "$topic: a car charges with $amps A"
            return
        fi
    done < <(inside timeout 240 mosquitto_sub -h 127.0.0.1 -p 1883 -u cli -P "$password" -R -v -t 'twc/charger/+/current_a')
    fail "no car was seen charging within 240 s"
}

# An owner imports a flow from the library and presses its button.
check_node_red() {
    local editor=http://127.0.0.1:1880 began=$SECONDS
    compose up -d --no-build nodered
    until inside curl --silent --fail --output "$scratch/flow.json" \
        "$editor/library/local/flows/twc-mqtt/override-for-an-hour.json"; do
        ((SECONDS - began < 120)) || fail "Node-RED does not show the flows of deploy/node-red"
        sleep 1
    done
    inside curl --silent --show-error --fail --output /dev/null --json "@$scratch/flow.json" "$editor/flows"
    until inside curl --silent --fail --output /dev/null --data '' "$editor/inject/twc1hour00000000" &&
        inside mosquitto_sub -h 127.0.0.1 -u cli -P "$(password_of cli)" -C 1 -W 5 -t twc/policy/override/state |
        grep -q '"amps":16'; do
        ((SECONDS - began < 180)) || fail "the button of Node-RED's flow overrides nothing"
    done
    say "Node-RED came up, and the button of its flow said 16 A for an hour"
}

main() {
    parse_arguments "$@"
    install_packages
    trap end_everything EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # Images are built on the host's network, which reaches Debian's mirror; the stack runs where nothing else is.
    start_engine -- --iptables=false --ip-forward=false --ip-masq=false --bridge=none
    make_images
    stop_engine

    ip netns add "$namespace"
    inside ip link set lo up
    start_engine nsenter "--net=/run/netns/$namespace" -- --bip 172.31.250.1/24 \
        --default-address-pool base=172.31.0.0/17,size=24
    export TWC_IMAGE=twc-mqtt:compose-test MOSQUITTO_IMAGE=local/mosquitto:test BASE=local/debian:12
    export NODERED_IMAGE=local/node-red:test
    compose_is_up=yes
    compose up -d --no-build "${services[@]}"
    await_health
    await_charging
    check_confinement
    local service
    for service in twc-bus policy-engine mosquitto; do
        kill_and_await "$service"
    done
    check_node_red
    say "the stack came up, a car charged, and what was killed came back: $((SECONDS / 60)) min $((SECONDS % 60)) s"
}

main "$@"
