#!/bin/sh
# Makes mosquitto_pub, mosquitto_sub and mosquitto_rr of this user log in to the broker as cli, without being told.
# Reads the password from standard input and writes ~/.config/mosquitto_pub, _sub and _rr, mode 0600.
#
# usage: deploy/mqtt-login.sh [HOST [PORT]] <SECRETS/cli/password
#   with docker compose:
#   docker compose run --rm -T prepare cat /secrets/cli/password | deploy/mqtt-login.sh
set -eu

host=${1:-127.0.0.1}
port=${2:-1883}
folder=${XDG_CONFIG_HOME:-$HOME/.config}
password=$(cat)
if [ -z "$password" ]; then
    echo "mqtt-login.sh: standard input holds no password" >&2
    exit 1
fi
umask 077
mkdir -p "$folder"
for program in mosquitto_pub mosquitto_sub mosquitto_rr; do
    if [ -e "$folder/$program" ] && ! grep -q -x -e '-u cli' "$folder/$program"; then
        echo "mqtt-login.sh: $folder/$program is somebody else's; move it away first" >&2
        exit 1
    fi
done
for program in mosquitto_pub mosquitto_sub mosquitto_rr; do
    printf '%s\n' "-h $host" "-p $port" "-u cli" "-P $password" >"$folder/$program"
    chmod 600 "$folder/$program"
done
echo "mosquitto_pub, mosquitto_sub and mosquitto_rr now talk to $host:$port as cli ($folder/mosquitto_*)"
