#!/usr/bin/env bash
# Installs web3.py in a virtual environment beside this file. Where there is no Python or nothing to install from, it
# says so in a line and ends well: the test is skipped then.
set -euo pipefail
cd "$(dirname "$0")"

skip() {
    echo "skipped: web3.py is not tested, $1"
    rm -rf venv
    exit 0
}

if [ -x venv/bin/python ] && cmp -s requirements.txt venv/requirements.txt; then
    exit 0
fi
command -v python3 >/dev/null || skip "there is no python3"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "python3 is older than 3.10"
rm -rf venv
python3 -m venv venv >/dev/null 2>&1 || skip "python3 has no venv"
venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --requirement requirements.txt ||
    skip "pip cannot fetch it"
cp requirements.txt venv/requirements.txt
