#!/bin/sh
# Run by docker-compose.yml before everything else, as root in Mosquitto's image: the users of the broker, and what the
# simulated house's Powerwall and Tesla account ask for. Passwords are drawn once and kept.
#   /secrets   mounted read-only by the services      /state   /var/lib/twc-mqtt of the services
set -eu
umask 077
service=10001:20 # as in deploy/Dockerfile

/bin/sh /prepare/mqtt-users.sh /secrets mosquitto "$service"
mkdir -p /secrets/powerwall
printf 'sim12' >/secrets/powerwall/password
# Anew each time: the simulator knows only its first token after a restart.
printf '{"refresh_token":"sim-refresh-0"}' >/state/demo-tesla-tokens.json
chown -R "$service" /secrets/powerwall /state
