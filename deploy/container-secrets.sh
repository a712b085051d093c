#!/bin/sh
# Run by docker-compose.yml before everything else, as root in Mosquitto's image: the users of the broker, and what the
# simulated house's Powerwall and Tesla account ask for. Passwords are drawn once and kept.
#   /secrets        a volume; /secrets/NAME is another one, which NAME alone mounts, read-only
#   /tesla-bridge   /var/lib/twc-mqtt of tesla-bridge
#
# With arguments it runs them instead: cat /secrets/cli/password
set -eu
umask 077
service=10001:20 # as in deploy/Dockerfile
node_red=1000:1000 # in its image

if [ $# -gt 0 ]; then
    exec "$@"
fi
/bin/sh /prepare/mqtt-users.sh /secrets mosquitto "$service"
printf 'sim12' >/secrets/ems-bridge/powerwall
# Anew each time: the simulator knows only its first token after a restart.
printf '{"refresh_token":"sim-refresh-0"}' >/tesla-bridge/demo-tesla-tokens.json
chown -R "$service" /secrets/ems-bridge /tesla-bridge
chown -R "$node_red" /secrets/nodered
