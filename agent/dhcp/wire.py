"""The octets of a DHCP message: the fixed header (RFC 2131 2) and the options (RFC 2132, 3396).

One struct reads and writes the header together with the magic cookie. Options are read in one
pass into a dict by code; a code that appears again is concatenated (RFC 3396 7), and is split
into pieces of at most 255 octets when written (RFC 3396 6). Whatever is wrong with a sender's
octets is a `PacketError` that names a counter; nothing else is ever raised.
"""

from __future__ import annotations

import struct

from agent.errors import PacketError

MAGIC_COOKIE = b"\x63\x82\x53\x63"

HEADER = struct.Struct("!BBBBIHHIIII16s64s128s4s")
"""op htype hlen hops, xid, secs flags, ciaddr yiaddr siaddr giaddr, chaddr, sname, file, cookie."""

BOOTREQUEST = 1
BOOTREPLY = 2
ETHERNET = 1
BROADCAST_FLAG = 0x8000

PAD = 0
SUBNET_MASK = 1
ROUTERS = 3
HOST_NAME = 12
STATIC_ROUTES = 33
REQUESTED_ADDRESS = 50
LEASE_TIME = 51
OVERLOAD = 52
MESSAGE_TYPE = 53
SERVER_IDENTIFIER = 54
PARAMETER_REQUEST_LIST = 55
MESSAGE = 56
MAXIMUM_MESSAGE_SIZE = 57
CLIENT_IDENTIFIER = 61
TFTP_SERVER_NAME = 66
BOOT_FILE_NAME = 67
RELAY_AGENT_INFORMATION = 82
CLASSLESS_ROUTES = 121
END = 255


def parse_options(data: bytes, start: int, end: int, options: dict[int, bytes]) -> None:
    """Read the options in data[start:end] into `options`, up to END or the field's end.

    A field without END is taken as it is (some clients forget it); an option that runs over the
    end of its field is not."""
    at = start
    while at < end:
        code = data[at]
        if code == PAD:
            at += 1
            continue
        if code == END:
            return
        if at + 1 >= end:
            raise PacketError("truncated_option", f"option {code} has no length")
        value = at + 2
        at = value + data[at + 1]
        if at > end:
            raise PacketError("truncated_option", f"option {code} runs over its field")
        if code in options:
            options[code] += data[value:at]
        else:
            options[code] = data[value:at]


def parse_overloaded(
    data: bytes, options: dict[int, bytes], server_name: bytes, boot_file: bytes
) -> None:
    """Read on in `file` and `sname` where option 52 says so (RFC 2132 9.3).

    The order is that of RFC 3396 5: the options field, then file, then sname."""
    overload = options[OVERLOAD]
    if len(overload) != 1 or not 1 <= overload[0] <= 3:
        raise PacketError("bad_overload", f"option 52 is {overload.hex()}, expected 01, 02 or 03")
    if overload[0] & 1:
        parse_options(boot_file, 0, len(boot_file), options)
    if overload[0] & 2:
        parse_options(server_name, 0, len(server_name), options)


def build_option(code: int, data: bytes) -> bytes:
    """One option on the wire, in as many pieces as it takes."""
    if len(data) <= 255:
        return bytes((code, len(data))) + data
    pieces = (data[at : at + 255] for at in range(0, len(data), 255))
    return b"".join(bytes((code, len(piece))) + piece for piece in pieces)
