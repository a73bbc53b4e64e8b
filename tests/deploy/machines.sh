#!/usr/bin/env bash
# Two machines on this one: each with its own network, processes, home and temporary files, and an sshd with own keys.
# Usage: unshare -n -m -p --fork --kill-child --mount-proc machines.sh FOLDER COMMAND...
# runs COMMAND as if on a laptop, at 10.77.0.1, beside the machines 10.77.0.2 and 10.77.0.3. All ends with it.
set -eu
if [ "$$" != 1 ]; then # it ends with a kill of all processes, those of its own namespace
    echo "machines.sh must be the first process of a namespace; call it by unshare as above" >&2
    exit 2
fi
FOLDER="$1"
shift

machine() { # in namespaces of its own
    NAME="$1" ADDRESS="$2"
    mount -t proc proc /proc
    until ip link show eth0 > /dev/null 2>&1; do sleep 0.1; done
    ip link set lo up
    ip addr add "$ADDRESS/24" dev eth0
    ip link set eth0 up
    ip route add default via 10.77.0.1
    mount -t tmpfs -o size=1g tmpfs /dev/shm
    mkdir -p /tmp/ray /run/sshd "$FOLDER/$NAME/ray" "$FOLDER/$NAME/home/.pyenv"
    mount --bind "$FOLDER/$NAME/ray" /tmp/ray
    if [ -d "$HOME/.pyenv" ]; then mount --bind "$HOME/.pyenv" "$FOLDER/$NAME/home/.pyenv"; fi # Python itself
    mount --rbind "$FOLDER/$NAME/home" "$HOME"
    hostname "$NAME"
    exec /usr/sbin/sshd -D -e -f /dev/null -h "$FOLDER/host_key" -o ListenAddress="$ADDRESS" -o UsePAM=no \
        -o StrictModes=no -o PermitRootLogin=yes -o PasswordAuthentication=no -o PidFile=none \
        -o AuthorizedKeysFile="$FOLDER/key.pub" > "$FOLDER/$NAME/sshd.log" 2>&1
}

mount --make-rprivate /
ssh-keygen -q -t ed25519 -N "" -f "$FOLDER/host_key"
ssh-keygen -q -t ed25519 -N "" -f "$FOLDER/key"
ip link set lo up
ip link add bridge0 type bridge
ip addr add 10.77.0.1/24 dev bridge0
ip link set bridge0 up
NUMBER=1
for NAME in head worker; do
    NUMBER=$((NUMBER + 1))
    export FOLDER
    export -f machine
    unshare -n -m -p -u -i --fork --kill-child bash -c "machine $NAME 10.77.0.$NUMBER" &
    sleep 0.5
    ip link add "veth$NUMBER" type veth peer name eth0 netns "$!"
    ip link set "veth$NUMBER" master bridge0 up
done
export HOME="$FOLDER/laptop"
mkdir -p "$HOME"
for ADDRESS in 10.77.0.2 10.77.0.3; do
    until (: < "/dev/tcp/$ADDRESS/22") 2> /dev/null; do sleep 0.2; done
done
set +e
"$@"
CODE=$?
kill -KILL -1 2> /dev/null # the machines, and whatever they still run
exit "$CODE"
