#!/usr/bin/env bash
# A simulated house charges a simulated car from the sun, through the real services and a real Mosquitto.
#
# usage: deploy/demo.sh [option]...
#   --duration S        end by itself after S seconds: 0 if a car was seen charging as it should, 1 if not
#   --until-charging    with --duration: end as soon as that was seen
#   --speed N           simulated seconds per second for sun, house and batteries (default 1)
#   --no-view           do not draw the live screen
#   --keep-logs FOLDER  leave the configurations and logs there at the end
#   --build-dir FOLDER  use these binaries; install and build nothing
#
# Everything it starts listens on 127.0.0.1 only and ends with it: q, Ctrl-C, SIGTERM, even SIGKILL.
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
PATH=$PATH:/usr/sbin # Debian keeps mosquitto there
readonly repository PATH

duration=
until_charging=no
speed=1
view=yes
run= # the run folder
keep_logs=
build=
broker_port=
view_pid=
tick_pid=
programs=(house-sim twc-bus ems-bridge tesla-bridge policy-engine live-view)
running=() # names, in the order they were started
declare -A pid_of=()

say() { printf '%s\n' "$*"; }

fail() {
    printf 'demo.sh: %s\n' "$*" >&2
    exit 1
}

usage_error() {
    printf 'demo.sh: %s\n\n' "$*" >&2
    print_usage >&2
    exit 2
}

print_usage() { sed -n '4,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }

parse_arguments() {
    while (($# > 0)); do
        case $1 in
        --duration | --speed | --keep-logs | --build-dir)
            (($# >= 2)) || usage_error "$1 needs a value"
            case $1 in
            --duration) duration=$2 ;;
            --speed) speed=$2 ;;
            --keep-logs) keep_logs=$2 ;;
            --build-dir) build=$2 ;;
            esac
            shift
            ;;
        --until-charging) until_charging=yes ;;
        --no-view) view=no ;;
        --help | -h)
            print_usage
            exit 0
            ;;
        *) usage_error "unknown argument \"$1\"" ;;
        esac
        shift
    done
    [[ -z $duration || $duration =~ ^[1-9][0-9]*$ ]] || usage_error "--duration: got \"$duration\", expected whole seconds"
    [[ $speed =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage_error "--speed: got \"$speed\", expected a number"
    [[ $until_charging == no || -n $duration ]] || usage_error "--until-charging needs --duration"
}

install_and_build() {
    if [[ -n $build ]]; then
        build=$(cd -- "$build" && pwd) || fail "--build-dir: there is no such folder"
        [[ -x $build/bin/policy-engine ]] || fail "--build-dir: $build/bin has no binaries"
        return
    fi
    build=$repository/build
    "$repository/deploy/install-packages.sh" build run
    say "building in $build (the first time takes some minutes)"
    if [[ ! -e $build/CMakeCache.txt ]]; then
        cmake -G Ninja -B "$build" -S "$repository" -DBUILD_TESTING=OFF >/dev/null # deploy/test.sh adds the tests
    fi
    ninja -C "$build" "${programs[@]}"
}

make_run_folder() {
    if [[ -n $keep_logs ]]; then
        mkdir -p -- "$keep_logs" || fail "--keep-logs: $keep_logs cannot be made"
    fi
    run=$(mktemp --directory --tmpdir twc-mqtt-demo.XXXXXX)
    chmod 711 "$run" # the broker's user passes through
}

# ---- processes ------------------------------------------------------------------------------------------------

# Makes RUN/NAME.sh, which runs the command, and runs it. The same script starts the service again by hand.
start() {
    local name=$1
    shift
    {
        printf '#!/bin/sh\n# Starts %s again, should it have been stopped.\n' "$name"
        printf 'echo $$ >%q\nexec' "$run/$name.pid"
        printf ' %q' "$@"
        printf ' >>%q 2>&1\n' "$run/$name.log"
    } >"$run/$name.sh"
    chmod +x "$run/$name.sh"
    # A session of its own, so that Ctrl-C reaches only this script, which then ends all in order.
    # pdeathsig: should this script be killed without a chance to do so, they still end.
    setsid setpriv --pdeathsig TERM "$run/$name.sh" &
    pid_of[$name]=$!
    running+=("$name")
}

# Running, and either started by this script or, by hand, with the run folder in its arguments: pids are reused.
is_ours() {
    local status
    status=$(cat "/proc/$1/status" 2>/dev/null) || return 1
    [[ $status != *$'\nState:\tZ'* ]] || return 1
    [[ $status == *$'\nPPid:\t'"$$"$'\n'* ]] || { tr '\0' ' ' <"/proc/$1/cmdline" | grep -q -F -- "$run/"; } 2>/dev/null
}

stop() {
    local name=$1 pid patience
    pid=$(cat "$run/$name.pid" 2>/dev/null) || return 0
    is_ours "$pid" || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    for ((patience = 50; patience > 0; --patience)); do
        is_ours "$pid" || return 0
        sleep 0.1
    done
    say "$name did not end within 5 s and is killed"
    kill -KILL "$pid" 2>/dev/null || true
}

end_everything() {
    local status=$? index
    trap '' INT TERM HUP # the end itself is not interrupted
    trap - EXIT
    if [[ -n $tick_pid ]]; then kill "$tick_pid" 2>/dev/null || true; fi
    if [[ -n $view_pid ]]; then
        kill "$view_pid" 2>/dev/null || true
        wait "$view_pid" 2>/dev/null || true
    fi
    for ((index = ${#running[@]} - 1; index >= 0; --index)); do
        stop "${running[index]}"
    done
    if [[ -n $run ]]; then
        if [[ -n $keep_logs ]]; then
            cp -- "$run"/*.log "$run"/*.yaml "$keep_logs" 2>/dev/null || true
            say "configurations and logs are in $keep_logs"
        fi
        rm -rf -- "$run"
    fi
    exit "$status"
}

# Ends the demo because of NAME, with the end of its log.
report_death() {
    local name=$1 status=$2
    if [[ -n $view_pid ]]; then
        kill "$view_pid" 2>/dev/null || true
        wait "$view_pid" 2>/dev/null || true
        view_pid=
    fi
    printf '\n%s ended (%s). The end of its log:\n' "$name" "$(death_words "$status")" >&2
    tail -n 15 -- "$run/$name.log" >&2
    fail "$name ended, so the demo ends"
}

death_words() {
    if (($1 > 128)); then
        printf 'killed by SIG%s' "$(kill -l "$1")"
    else
        printf 'exit code %s' "$1"
    fi
}

# Waits until COMMAND succeeds, at most SECONDS, while NAME lives.
await() {
    local name=$1 seconds=$2 tenths
    shift 2
    for ((tenths = seconds * 10; tenths > 0; --tenths)); do
        if "$@" >/dev/null 2>&1; then
            return
        fi
        if ! is_ours "${pid_of[$name]}"; then
            local status=0
            wait "${pid_of[$name]}" || status=$?
            report_death "$name" "$status"
        fi
        sleep 0.1
    done
    tail -n 15 -- "$run/$name.log" >&2
    fail "$name was not ready within $seconds s"
}

# ---- the broker -----------------------------------------------------------------------------------------------

is_free() { ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Only our own broker knows this password.
broker_answers() {
    mosquitto_sub -h 127.0.0.1 -p "$broker_port" -u healthcheck -P "$(cat "$run/secrets/healthcheck/password")" \
        -t "\$SYS/broker/uptime" -C 1 -W 2 >/dev/null 2>&1
}

# Fails when the port was taken after all.
broker_comes_up() {
    local tenths
    for ((tenths = 100; tenths > 0; --tenths)); do
        if broker_answers; then
            return
        fi
        is_ours "${pid_of[mosquitto]}" || return 1
        sleep 0.1
    done
    return 1
}

start_broker() {
    local as_user=() port
    if ((EUID == 0)); then
        as_user=(setpriv --reuid mosquitto --regid mosquitto --init-groups --pdeathsig TERM)
    fi
    for port in 1883 1884 18831 $((20000 + RANDOM % 10000)) $((30000 + RANDOM % 2000)); do
        is_free "$port" || continue
        broker_port=$port
        "$repository/deploy/local-broker.sh" --anonymous "$run" "$broker_port"
        start mosquitto "${as_user[@]}" mosquitto -c "$run/broker/mosquitto.conf"
        if broker_comes_up; then
            return
        fi
        stop mosquitto
        running=()
    done
    tail -n 15 -- "$run/mosquitto.log" >&2
    fail "Mosquitto did not start"
}

# ---- the house and the services -------------------------------------------------------------------------------

# Puts the arguments of a service into `arguments`: the shipped configuration with the demo's places.
set_arguments() {
    local name=$1 file=$run/$1.yaml
    [[ -e $file ]] || file=$repository/config/$name.yaml
    arguments=(--config "$file" --set mqtt.host=127.0.0.1 --set "mqtt.port=$broker_port" --set "mqtt.username=$name"
        --set "mqtt.password_file=$run/secrets/$name/password" --set "health_file=$run/$name.health")
    case $name in
    house-sim)
        arguments+=(--set "ready_file=$run/house.json" --set "line.pty=$run/rs485" --set "time.speed=$speed"
            --set battery.capacity_kwh=10 --set battery.soc=60)
        ;;
    twc-bus)
        arguments+=(--set "bus.port=$run/rs485" --set bus.listen_s=0 --set "state_file=$run/twc-bus.json")
        ;;
    policy-engine)
        arguments+=(--set "state_file=$run/policy-engine.json" --set policy.mode=solar
            --set policy.battery_priority=car_first --set policy.start_memory_s=10
            --set vehicles.kestrel.battery_kwh=75)
        ;;
    esac
}

start_service() {
    local arguments
    set_arguments "$1"
    start "$1" "$build/bin/$1" "${arguments[@]}"
}

is_healthy() {
    local arguments
    set_arguments "$1"
    "$build/bin/$1" "${arguments[@]}" --healthcheck
}

# A number of house-sim's ready file.
house_port() {
    local port
    port=$(sed -n "s/^ *\"$1\": *\([0-9]\+\),\{0,1\}\$/\1/p" "$run/house.json")
    [[ -n $port ]] || fail "house-sim's ready file does not name $1: $(cat "$run/house.json")"
    printf '%s\n' "$port"
}

start_house() {
    start_service house-sim
    await house-sim 20 test -s "$run/house.json"
}

# The demo's own configurations, with the places of this run.
write_configurations() {
    sed -e 's|host: house-sim|host: 127.0.0.1|' -e "s|port: 1502|port: $(house_port modbus_port)|" \
        -e "s|house-sim:8443|127.0.0.1:$(house_port powerwall_port)|" \
        -e "s|/secrets/|$run/secrets/|" "$repository/deploy/demo/ems-bridge.yaml" >"$run/ems-bridge.yaml"
    sed -e "s|house-sim:8080|127.0.0.1:$(house_port tesla_port)|" \
        -e "s|/var/lib/twc-mqtt/demo-tesla-tokens.json|$run/tesla-tokens.json|" \
        "$repository/deploy/demo/tesla-bridge.yaml" >"$run/tesla-bridge.yaml"
    (
        umask 077
        printf 'sim12' >"$run/secrets/ems-bridge/powerwall"
        printf '{"refresh_token":"sim-refresh-0"}' >"$run/tesla-tokens.json"
    )
}

start_services() {
    local name
    for name in twc-bus ems-bridge tesla-bridge policy-engine; do
        start_service "$name"
    done
    for name in twc-bus ems-bridge tesla-bridge policy-engine; do
        await "$name" 20 is_healthy "$name"
    done
}

print_hints() {
    cat <<EOF

The stack runs, in $run. In another terminal:
  mosquitto_sub -v -p $broker_port -t 'twc/#'                                  everything that is said
  mosquitto_pub -p $broker_port -t twc/policy/override/set -m '16 5m'          16 A for five minutes
  mosquitto_pub -p $broker_port -t twc/policy/override/set -m clear            back to the sun
  mosquitto_pub -p $broker_port -t twc/policy/mode/set -m min_solar            off solar min_solar fast scheduled rules
  kill \$(cat $run/policy-engine.pid)   then watch the fail-safe; $run/policy-engine.sh starts it again
q or Ctrl-C ends everything.
EOF
}

# ---- watching -------------------------------------------------------------------------------------------------

watch_for_charging() {
    start watch mosquitto_sub -h 127.0.0.1 -p "$broker_port" -v -t 'twc/charger/+/current_a' \
        -t 'twc/charger/+/granted_a'
}

# A car drew 6 A or more (as far as its meter's resolution says) and no more than it was granted.
charging_was_seen() {
    awk -F '[/ ]' '
        $4 == "granted_a" { granted[$3] = $5 }
        $4 == "current_a" && $5 >= 5.7 && $5 <= granted[$3] + 0.5 { seen = 1 }
        END { exit !seen }' "$run/watch.log"
}

start_view() {
    local arguments=(--host 127.0.0.1 --port "$broker_port")
    if [[ -z $duration && -t 0 && -t 1 ]]; then
        "$build/bin/live-view" "${arguments[@]}" <&0 & # explicitly: a background job is given /dev/null
    else
        "$build/bin/live-view" "${arguments[@]}" --lines &
    fi
    view_pid=$!
}

finish_duration() {
    if charging_was_seen; then
        say "A car was seen charging."
        exit 0
    fi
    say "No car was seen charging within $duration s." >&2
    exit 1
}

# Returns when the view was left; ends the demo when something died or the time is up.
watch_over() {
    local ended status name started=$SECONDS
    while true; do
        sleep 1 &
        tick_pid=$!
        status=0
        ended=
        wait -n -p ended "$tick_pid" ${view_pid:+"$view_pid"} "${pid_of[@]}" || status=$?
        if [[ -n $ended && $ended == "$view_pid" ]]; then
            view_pid=
            ((status == 0)) || fail "live-view ended ($(death_words "$status"))"
            return
        fi
        for name in "${!pid_of[@]}"; do
            if [[ $ended == "${pid_of[$name]}" ]]; then
                ((status == 0)) || report_death "$name" "$status"
                unset "pid_of[$name]" # stopped by someone on purpose: the view shows it
            fi
        done
        if [[ -n $duration ]]; then
            if ((SECONDS - started >= duration)) || { [[ $until_charging == yes ]] && charging_was_seen; }; then
                finish_duration
            fi
        fi
        if [[ $ended != "$tick_pid" ]]; then
            kill "$tick_pid" 2>/dev/null || true
        fi
    done
}

main() {
    parse_arguments "$@"
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    install_and_build
    make_run_folder
    trap end_everything EXIT
    start_broker
    start_house
    write_configurations
    start_services
    print_hints
    if [[ -n $duration ]]; then watch_for_charging; fi
    if [[ $view == yes ]]; then start_view; fi
    trap 'exit 0' INT # now the usual way to leave
    watch_over
}

main "$@"
