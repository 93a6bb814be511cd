#!/bin/sh
# Makes .venv in the current folder with the dependencies of a lock file and the dhcpsync command:
# venv.sh requirements.lock
set -eu
here=$(dirname "$0")
[ $# = 1 ] || { echo "usage: venv.sh FILE.lock" >&2; exit 2; }
python=$("$here/python.sh") || {
    echo "No Python 3.11 or later with venv was found; set DHCPSYNC_PYTHON to one." >&2
    exit 1
}
if [ -d .venv ] && ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
then
    echo "Removing .venv: its Python is gone or too old"
    rm -rf .venv
fi
[ -d .venv ] || { echo "Making .venv with $python"; "$python" -m venv .venv; }
echo "Installing the dependencies of $1 into .venv ..."
PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_DISABLE_PIP_VERSION_CHECK
.venv/bin/python -m pip install --quiet --require-hashes -r "$1"
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
echo "Ready: .venv/bin/dhcpsync"
