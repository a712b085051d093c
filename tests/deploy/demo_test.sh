#!/usr/bin/env bash
# deploy/demo.sh with the binaries of BUILD_FOLDER.
#
# usage: demo_test.sh SOURCE_FOLDER BUILD_FOLDER charging|endings
set -euo pipefail

demo=$1/deploy/demo.sh
build=$2
scratch=$(mktemp --directory --tmpdir twc-mqtt-demo-test.XXXXXX)
demo_pid=

finish() {
    if [[ -n $demo_pid ]]; then
        kill "$demo_pid" 2>/dev/null || true
        wait "$demo_pid" 2>/dev/null || true
    fi
    rm -rf -- "$scratch"
}
trap finish EXIT

fail() {
    echo "FAILED: $*"
    for log in "$scratch"/*/*.log; do
        if [[ -e $log ]]; then
            echo "---- $log"
            tail -n 20 "$log"
        fi
    done
    exit 1
}

# The processes that mention this folder, but for this script's own children.
processes_of() {
    local folder=$1 cmdline
    for cmdline in /proc/[0-9]*/cmdline; do
        { tr '\0' ' ' <"$cmdline" | grep -F -- "$folder/" || true; } 2>/dev/null
    done
}

expect_nothing_left() {
    local left patience
    for ((patience = 50; patience > 0; --patience)); do
        left=$(processes_of "$1")
        [[ -z $left ]] && return
        sleep 0.1
    done
    fail "still running after $2: $left"
}

# Starts a demo in the background and waits until it has started everything; sets `run`, its folder, and `logs`.
start_demo() {
    logs=$scratch/$1
    mkdir "$logs"
    : >"$logs/output.log" # before the demo opens it, it is read below
    "$demo" --build-dir "$build" --no-view --keep-logs "$logs" >"$logs/output.log" 2>&1 &
    demo_pid=$!
    local patience
    for ((patience = 600; patience > 0; --patience)); do
        run=$(sed -n 's/^The stack runs, in \(.*\)\. In another.*/\1/p' "$logs/output.log")
        [[ -n $run ]] && return
        kill -0 "$demo_pid" 2>/dev/null || fail "the demo ended early"
        sleep 0.1
    done
    fail "the demo did not start within 60 s"
}

expect_end() {
    local expected=$1 after=$2 status=0
    wait "$demo_pid" || status=$?
    demo_pid=
    ((status == expected)) || fail "exit code $status after $after, expected $expected"
    expect_nothing_left "$run" "$after"
}

charging() {
    logs=$scratch/charging
    mkdir "$logs"
    "$demo" --build-dir "$build" --duration 240 --until-charging --keep-logs "$logs" >"$logs/output.log" 2>&1 ||
        fail "no car charged"
    grep -q 'A car was seen charging' "$logs/output.log" || fail "it does not say that a car charged"
    run=$(sed -n 's/^The stack runs, in \(.*\)\. In another.*/\1/p' "$logs/output.log")
    expect_nothing_left "$run" "the end of its duration"
    tail -n 3 "$logs/output.log"
}

endings() {
    start_demo interrupted
    # A script started in the background ignores SIGINT; SIGTERM takes the same way.
    kill -TERM "$demo_pid"
    expect_end 143 SIGTERM
    grep -q 'ended$' "$logs/twc-bus.log" || fail "twc-bus was not ended cleanly"

    start_demo service-killed
    kill -KILL "$(cat "$run/twc-bus.pid")"
    expect_end 1 "twc-bus was killed"
    grep -q 'twc-bus ended (killed by SIGKILL). The end of its log:' "$logs/output.log" ||
        fail "it does not name the service that was killed"

    start_demo service-stopped
    kill -TERM "$(cat "$run/policy-engine.pid")"
    sleep 2
    kill -0 "$demo_pid" || fail "stopping a service on purpose ended the demo"
    "$run/policy-engine.sh" &
    sleep 2
    kill -TERM "$demo_pid"
    expect_end 143 "a service was started again by hand"

    start_demo killed
    kill -KILL "$demo_pid"
    wait "$demo_pid" 2>/dev/null || true
    demo_pid=
    expect_nothing_left "$run" "SIGKILL"
    rm -rf -- "$run" # the one ending after which its folder stays

    local output status=0
    output=$("$demo" --speed fast 2>&1) || status=$?
    ((status == 2)) || fail "a wrong argument gave exit code $status"
    [[ $output == *'--speed: got "fast", expected a number'* ]] || fail "a wrong argument gave: $output"
}

"$3"
