#!/usr/bin/env bash
# Removes from machines of your own what `ray up` put there and `ray down` leaves: the copied private key first, then
# the token, Ray's processes and files, Python and packages. ~/runs stays.
# Usage: clean_machines.sh USER KEY ADDRESS...     the head's address first; ssh options in SSH_OPTIONS
set -uo pipefail

if [ "$#" -lt 3 ]; then
    echo "clean_machines.sh takes USER KEY ADDRESS..., as in machines.yaml" >&2
    exit 2
fi
NAME="$1" KEY="$2"
shift 2
CODE=0
for ADDRESS in "$@"; do
    # shellcheck disable=SC2086  # several options in one variable
    if ssh ${SSH_OPTIONS:-} -o BatchMode=yes -i "$KEY" "$NAME@$ADDRESS" bash -s <<'REMOTE'
rm -f ~/ray_bootstrap_key.pem ~/ray_bootstrap_config.yaml ~/.ray/auth_token
if [ -x ~/stars-dist-venv/bin/ray ]; then ~/stars-dist-venv/bin/ray stop --force > /dev/null 2>&1; fi
# What `ray stop` does not know, such as log_monitor.py: processes of this user that run from our environment alone.
for PROCESS in /proc/[0-9]*; do
    if [ -O "$PROCESS" ] && tr '\0' ' ' < "$PROCESS/cmdline" 2>/dev/null | grep -q "^$HOME/stars-dist-venv/bin/python"; then
        kill "${PROCESS#/proc/}" 2>/dev/null
    fi
done
rm -rf ~/stars-dist ~/stars-dist-venv ~/stars-dist-python-*
if [ -f ~/.bashrc ]; then sed -i '\|^source .*/stars-dist/deploy/node_env.sh$|d' ~/.bashrc; fi
find /tmp/ray -mindepth 1 -user "$(id -u)" -delete 2>/dev/null
true
REMOTE
    then
        echo "$ADDRESS: clean"
    else
        echo "$ADDRESS: NOT cleaned; its copy of the private key is ~/ray_bootstrap_key.pem" >&2
        CODE=1
    fi
done
exit "$CODE"
