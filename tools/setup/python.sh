#!/bin/sh
# Prints the path of a Python that dhcpsync can use: 3.11 or later, able to make a venv.
# DHCPSYNC_PYTHON names one to be preferred. Exit 1 without a word where there is none.
set -eu
for name in ${DHCPSYNC_PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
    path=$(command -v "$name" 2>/dev/null) || continue
    if "$path" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    then
        echo "$path"
        exit 0
    fi
done
exit 1
