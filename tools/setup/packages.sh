#!/bin/sh
# Sees to the system packages that a task needs: packages.sh run|demo|test...
#
# A need is a command that must be there, with the packages that bring it (the first that the
# distribution knows is taken). Root on a machine with apt: they are installed. Everybody else:
# they are named, with the command that installs them, and the exit status is 1. Quick, and
# silent, where nothing is missing.
set -eu
here=$(dirname "$0")
PATH=$PATH:/usr/sbin:/sbin

# group | command | why | packages, best first | "optional" where a task can go on without
needs() {
    cat <<'TABLE'
demo|ip|network namespaces of the lab|iproute2|
demo|nft|cutting links in the lab|nftables|
demo|sysctl|settings of the lab's namespaces|procps|
demo|udhcpc|a real DHCP client|udhcpc|
demo|dhclient|a real DHCP client|isc-dhcp-client|
test|ip|network namespaces of the lab|iproute2|
test|nft|cutting links in the lab|nftables|
test|sysctl|settings of the lab's namespaces|procps|
test|ping|cut links in the lab|iputils-ping|
test|udhcpc|a real DHCP client|udhcpc|
test|dhclient|a real DHCP client|isc-dhcp-client|
test|dhcpcd|a real DHCP client|dhcpcd-base|optional
test|perfdhcp|load from many DHCP clients|kea-admin|optional
test|snmpget|net-snmp's tools, as an operator uses them|snmp|optional
test|snmptrapd|notifications taken in by net-snmp|snmptrapd|optional
test|smilint|checks the MIB|smitools|optional
TABLE
}

known() { apt-cache show "$1" >/dev/null 2>&1; }

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

first_known() {
    for package in $1; do
        if known "$package"; then
            echo "$package"
            return
        fi
    done
}

missing() { # prints the rows of the groups asked for whose command is not there
    for group in "$@"; do
        if [ "$group" = run ]; then
            "$here/python.sh" >/dev/null ||
                echo "run|python|Python 3.11 or later with venv|python3-venv|"
            continue
        fi
        needs | while IFS='|' read -r of command why packages optional; do
            [ "$of" = "$group" ] || continue
            command -v "$command" >/dev/null 2>&1 ||
                echo "$of|$command|$why|$packages|$optional"
        done
    done
}

python_packages() { # the packages of a Python that is new enough
    if apt-cache show python3 2>/dev/null | grep -Eq '^Version: 3\.(1[1-9]|[2-9][0-9])'; then
        echo "python3 python3-venv"
        return
    fi
    for version in 3.13 3.12 3.11; do
        if known "python$version-venv"; then
            echo "python$version python$version-venv"
            return
        fi
    done
}

[ $# -gt 0 ] || { echo "usage: packages.sh run|demo|test..." >&2; exit 2; }
rows=$(missing "$@")
[ -n "$rows" ] || exit 0

if can_install; then
    echo "Reading the package lists (apt-get update) ..."
    apt-get update -qq || echo "apt-get update failed; going on with the lists that are there" >&2
fi

install=
lacking=
oldifs=$IFS
IFS='
'
for row in $rows; do
    IFS='|' read -r of command why packages optional <<ROW
$row
ROW
    IFS=$oldifs
    if [ "$command" = python ]; then
        package=$(python_packages)
    else
        package=$(first_known "$packages")
    fi
    if [ -z "$package" ] && [ "$optional" = optional ]; then
        echo "No package brings $command ($why) here: what needs it will be skipped." >&2
    elif [ -z "$package" ]; then
        echo "Missing: $command ($why); usually in package $packages." >&2
        lacking=1
    elif can_install; then
        echo "Installing $package: $why ($command)"
        install="$install $package"
    else
        echo "Missing: $command ($why), package $package" >&2
        install="$install $package"
    fi
    IFS='
'
done
IFS=$oldifs

if [ -n "$install" ] && can_install; then
    # shellcheck disable=SC2086 # a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $install \
        </dev/null >/dev/null || {
        echo "apt-get could not install:$install" >&2
        exit 1
    }
elif [ -n "$install" ]; then
    echo "Install with: sudo apt-get install$install" >&2
    lacking=1
fi
[ -z "$lacking" ] || exit 1
