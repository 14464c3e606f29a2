#!/usr/bin/env bash
# Run a command whose temporary files lie in memory, where 4 GB of it are free for files: tests wait for disks most of
# their time, and no test cuts the power. Nothing of them is left afterwards.
set -euo pipefail
free=$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1) || free=0
[ "${free:-0}" -lt 4194304 ] && exec "$@"
scratch=$(mktemp -d /dev/shm/XXXXXX)
# A short name: sockets below it have paths of at most a hundred characters.
trap 'rm -rf "$scratch"' EXIT
chmod 1777 "$scratch" # as /tmp: servers of tests run as users of their own
# A memory disk that runs no programs is none for these tests.
if cp "$(type -P true)" "$scratch/true" && "$scratch/true" 2>/dev/null; then
    TMPDIR=$scratch "$@"
else
    "$@"
fi
