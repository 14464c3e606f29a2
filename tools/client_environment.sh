#!/usr/bin/env bash
# Make the virtual environment $1 from the hashed lock $2 alone, with uv when present, else with pip: for programs that
# tests drive and that need other versions than Mainstay. Nothing is left of one that could not be finished.
set -euo pipefail
venv=$1 lock=$2 python=${PYTHON:-python3}

[ -e "$venv/.complete" ] && exit 0
rm -rf "$venv"
trap '[ -e "$venv/.complete" ] || rm -rf "$venv"' EXIT
if command -v uv >/dev/null; then
    uv venv -q --python "$python" "$venv"
    uv pip install -q --python "$venv/bin/python" --require-hashes -r "$lock"
else
    "$python" -m venv --without-pip "$venv"  # a pip of its own takes as long as the rest
    "$python" -m pip --python "$venv/bin/python" install -q --disable-pip-version-check --no-deps --require-hashes -r "$lock"
fi
touch "$venv/.complete"
