#!/usr/bin/env bash
# Writes what a Mosquitto of one's own needs, from the shipped config/mosquitto.conf and config/acl:
#   FOLDER/broker/mosquitto.conf   listens on 127.0.0.1:PORT, keeps its files in FOLDER/broker
#   FOLDER/secrets/                users and passwords, see deploy/mqtt-users.sh
# As root the broker's files are given to the user mosquitto, as which it then has to be started.
#
# usage: deploy/local-broker.sh [--anonymous] FOLDER PORT
#   --anonymous    lets in whoever reaches 127.0.0.1, with the rights of a front end: for a simulated house
set -euo pipefail

repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
anonymous=false
if [[ ${1:-} == --anonymous ]]; then
    anonymous=true
    shift
fi
folder=$1
port=$2
broker=$folder/broker

mkdir -p "$broker"
install -m 640 "$repository/config/acl" "$broker/acl"
"$repository/deploy/mqtt-users.sh" "$folder/secrets"
sed -e "s|^listener 1883\$|listener $port 127.0.0.1|" \
    -e "s|^allow_anonymous .*|allow_anonymous $anonymous|" \
    -e "s|^password_file .*|password_file $folder/secrets/broker/passwd|" \
    -e "s|^acl_file .*|acl_file $broker/acl|" \
    -e "s|^persistence_location .*|persistence_location $broker/|" \
    "$repository/config/mosquitto.conf" >"$broker/mosquitto.conf"
for line in "listener $port 127.0.0.1" "allow_anonymous $anonymous"; do
    if ! grep -q -x "$line" "$broker/mosquitto.conf"; then
        echo "local-broker.sh: config/mosquitto.conf has no line to become \"$line\"" >&2
        exit 1
    fi
done
if ((EUID == 0)); then
    chown -R mosquitto: "$broker" "$folder/secrets/broker"
fi
