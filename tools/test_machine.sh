#!/usr/bin/env bash
# What the tests need from the machine: installed here where that is possible, else named.
set -euo pipefail
declare -A packages=(
    [chromium]=chromium
    [chronyd]=chrony
    [busybox]=busybox-static
    [crun]=crun
    [podman]=podman
    [imap-login]=dovecot-imapd
    [pop3-login]=dovecot-pop3d
    [mariadbd]=mariadb-server-core
    [my_print_defaults]=mariadb-client-core
    [mosquitto]=mosquitto
    [redis-server]=redis-server
    [sshd]=openssh-server
    [nginx]=nginx-light
    [check_dummy]=monitoring-plugins-basic
    [prometheus]=prometheus
    [prometheus-alertmanager]=prometheus-alertmanager
    [prometheus-blackbox-exporter]=prometheus-blackbox-exporter
    [wrk]=wrk
)
missing=()
for program in "${!packages[@]}"; do
    PATH=$PATH:/usr/sbin:/usr/lib/nagios/plugins:/usr/lib/dovecot command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # Debian starts services when it installs them; the tests start their own.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod +x /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "The tests need: ${missing[*]}" >&2
    echo "On Debian and Ubuntu: sudo apt-get install ${missing[*]}" >&2
    exit 1
fi
