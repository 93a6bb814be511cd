"""Clients' surroundings: a real DHCP client changes its own namespace and nothing of the host.

udhcpc, dhclient and dhcpcd write resolv.conf, leases and pid files at fixed places. For every
command in a client's namespace those places are the client's own: /run and the lease folders are
folders of the lab (so that a later `dhclient -r` finds what an earlier one wrote), /etc is a
throw-away layer over the host's. The host name is the namespace's own too.
"""

from __future__ import annotations

from pathlib import Path

from tools.lab.layout import LabState, Node

_FOLDERS = ("run", "dhcp", "dhcpcd", "etc")

_ENTER = """
set -e
own=$1
shift
[ ! -d /var/lib/dhcp ] || mount --bind "$own/dhcp" /var/lib/dhcp
[ ! -d /var/lib/dhcpcd ] || mount --bind "$own/dhcpcd" /var/lib/dhcpcd
mount -t tmpfs dhcpsync "$own/etc"
mkdir "$own/etc/upper" "$own/etc/work"
layers=lowerdir=/etc,upperdir=$own/etc/upper,workdir=$own/etc/work
if mount -t overlay dhcpsync -o "$layers" /etc 2>/dev/null; then
    # It may be a link into the host's /run.
    rm -f /etc/resolv.conf
    : >/etc/resolv.conf
else
    : >"$own/etc/resolv.conf"
    mount --bind "$own/etc/resolv.conf" "$(readlink -f /etc/resolv.conf)"
fi
mount --bind "$own/run" /run
exec "$@"
"""


def make_client_folder(folder: Path) -> None:
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)


def enter_command(state: LabState, node: Node) -> list[str]:
    """What to put before a command so that it runs in the node's network."""
    words = ["ip", "netns", "exec", node.namespace]
    if node.is_member:
        return words
    shell = ["unshare", "--uts", "--mount", "sh", "-c", _ENTER, "dhcpsync"]
    return [*words, *shell, str(state.folder(node))]
