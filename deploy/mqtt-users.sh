#!/bin/sh
# Makes the broker's users: one password for each service and front end, drawn once and kept.
#
# usage: deploy/mqtt-users.sh FOLDER [BROKER_USER [SERVICE_USER]]
#   FOLDER/broker/passwd    hashes, for Mosquitto's password_file
#   FOLDER/NAME/password    the password of user NAME, for `mqtt.password_file`
# Run as root it gives the broker's file to BROKER_USER and the others to SERVICE_USER. All of them have mode 0640, in
# folders that only owner and group enter. The names are those of config/acl. It needs mosquitto_passwd and nothing but
# a POSIX shell, so that it runs in Mosquitto's own image.
set -eu

folder=$1
broker_user=${2:-}
service_user=${3:-}
umask 027

mkdir -p "$folder/broker"
chmod 755 "$folder"
passwd=$folder/broker/passwd
[ -e "$passwd" ] || : >"$passwd"
for name in twc-bus ems-bridge tesla-bridge policy-engine house-sim ha nodered cli healthcheck; do
    mkdir -p "$folder/$name"
    if [ ! -s "$folder/$name/password" ]; then
        od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$name/password"
    fi
    chmod 750 "$folder/$name"
    chmod 640 "$folder/$name/password"
    mosquitto_passwd -b "$passwd" "$name" "$(cat "$folder/$name/password")" >/dev/null # what it says varies
    if [ -n "$service_user" ]; then
        chown -R "$service_user" "$folder/$name"
    fi
done
chmod 750 "$folder/broker"
chmod 640 "$passwd"
if [ -n "$broker_user" ]; then
    chown -R "$broker_user" "$folder/broker" "$folder/healthcheck"
fi
