#!/usr/bin/env bash
# Make the virtual environment $1 from the hashed lock $2, with uv when present, else with pip.
set -euo pipefail
venv=$1 lock=$2 python=${PYTHON:-python3}

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "Mainstay needs Python 3.11 or newer; '$python' is $("$python" --version 2>&1 || echo missing)." >&2
    echo "Install one and say which: make PYTHON=python3.12 ..." >&2
    exit 1
fi
[ -x "$venv/bin/python" ] || say="Making $venv"
packages=$(grep -c '^[A-Za-z0-9]' "$lock")
echo "${say:-Updating $venv}: $packages packages of $lock are fetched and checked. Without uv this takes a minute or two." >&2
if command -v uv >/dev/null; then
    [ -x "$venv/bin/python" ] || uv venv -q --python "$python" "$venv"
    uv pip install -q --compile-bytecode --python "$venv/bin/python" --require-hashes -r "$lock"
    uv pip install -q --python "$venv/bin/python" --no-build-isolation --no-deps -e .
else
    if [ ! -x "$venv/bin/pip" ] && ! "$python" -m venv "$venv"; then
        echo "Could not make $venv. On Debian and Ubuntu: apt-get install python3-venv" >&2
        exit 1
    fi
    "$venv/bin/python" -m pip install -q --progress-bar on --require-hashes -r "$lock"
    "$venv/bin/python" -m pip install -q --no-build-isolation --no-deps -e .
fi
# Once here, and not in each process where the environment forbids Python to keep what it compiled.
"$venv/bin/python" -m compileall -q src
