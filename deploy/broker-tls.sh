#!/bin/sh
# Makes a certificate for the broker's TLS listener (config/broker/tls.conf), signed by an authority of its own:
#   FOLDER/ca.crt                    for every client: mqtt.tls.ca_file, mosquitto_pub --cafile
#   FOLDER/ca.key                    signs; mode 0600; needed for renewals only, so it may be kept elsewhere
#   FOLDER/server.crt, server.key    for Mosquitto; the key has mode 0640
# What is there and good is kept, so run it as often as you like, such as once a month: a certificate that ends within
# 30 days or is not for these names is made anew. Mosquitto takes it after kill -HUP.
#
# usage: deploy/broker-tls.sh [--owner USER] FOLDER [NAME]...
#   NAME            host names and IP addresses by which clients reach the broker
#                   (without any: the name of this machine, localhost, 127.0.0.1)
#   --owner USER    gets server.key; for root: the user as which Mosquitto runs
set -eu

authority_days=3650
server_days=397 # what phones and browsers take at most
renew_before_s=$((30 * 24 * 3600))

owner=
if [ "${1:-}" = --owner ]; then
    owner=$2
    shift 2
fi
if [ $# -eq 0 ]; then
    echo "usage: deploy/broker-tls.sh [--owner USER] FOLDER [NAME]..." >&2
    exit 2
fi
folder=$1
shift
[ $# -gt 0 ] || set -- "$(hostname)" localhost 127.0.0.1

is_address() {
    case $1 in
    *:*) return 0 ;;
    *[!0-9.]*) return 1 ;;
    *) return 0 ;;
    esac
}

names=
for name in "$@"; do
    if is_address "$name"; then
        names=$names,IP:$name
    else
        names=$names,DNS:$name
    fi
done
names=${names#,}

umask 077
mkdir -p "$folder"
cd "$folder"

new_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1" 2>/dev/null; }

if [ ! -s ca.crt ]; then
    new_key ca.key
    openssl req -x509 -new -key ca.key -out ca.crt -days "$authority_days" -subj "/CN=twc-mqtt authority of $(hostname)" \
        -addext keyUsage=critical,keyCertSign,cRLSign # basicConstraints CA:TRUE is the default of -x509
    echo "made an authority: give $folder/ca.crt to every client"
fi
if ! openssl x509 -in ca.crt -noout -checkend "$renew_before_s" >/dev/null; then
    echo "broker-tls.sh: the authority ends soon; remove ca.crt and ca.key, run this again and give the new ca.crt to all" >&2
    exit 1
fi

is_good() {
    [ -s server.key ] && [ "$(cat server.names 2>/dev/null)" = "$names" ] &&
        openssl x509 -in server.crt -noout -checkend "$renew_before_s" >/dev/null 2>&1 &&
        openssl verify -CAfile ca.crt server.crt >/dev/null 2>&1
}

if is_good; then
    echo "the certificate for $names is good"
else
    new_key server.key.new
    openssl req -new -key server.key.new -out server.csr -subj "/CN=$1"
    printf '%s\n' "subjectAltName=$names" basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth \
        "authorityKeyIdentifier=keyid" >server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt.new -days "$server_days" \
        -extfile server.ext 2>/dev/null
    mv server.key.new server.key
    mv server.crt.new server.crt
    printf '%s\n' "$names" >server.names
    rm server.csr server.ext
    echo "made a certificate for $names"
fi
chmod 755 .
chmod 644 ca.crt server.crt
chmod 640 server.key
[ -z "$owner" ] || chown "$owner" server.key
