"""The DHCP options by code: name and kind of value.

The table covers RFC 2132 and the later options that are in use; any other code is octets.
"""

from __future__ import annotations

import difflib
import enum
from typing import NamedTuple

from agent.errors import ConfigError


class ValueKind(enum.Enum):
    """How the octets of an option are to be read."""

    ADDRESS = "an IPv4 address"
    ADDRESSES = "IPv4 addresses"
    ADDRESS_PAIRS = "pairs of IPv4 addresses"
    UNSIGNED_8 = "a number 0..255"
    UNSIGNED_16 = "a number 0..65535"
    UNSIGNED_32 = "a number 0..4294967295"
    SIGNED_32 = "a number -2147483648..2147483647"
    UNSIGNED_8_LIST = "numbers 0..255"
    UNSIGNED_16_LIST = "numbers 0..65535"
    BOOLEAN = "true or false"
    TEXT = "text"
    DOMAINS = "domain names"
    ROUTES = "routes"
    HEX = "octets in hexadecimal"


EXAMPLES = {
    ValueKind.ADDRESS: "198.18.0.1",
    ValueKind.ADDRESSES: "198.18.0.1, 198.18.0.2",
    ValueKind.ADDRESS_PAIRS: "198.18.0.0 255.254.0.0",
    ValueKind.UNSIGNED_8: "64",
    ValueKind.UNSIGNED_16: "1500",
    ValueKind.UNSIGNED_32: "3600",
    ValueKind.SIGNED_32: "-3600",
    ValueKind.UNSIGNED_8_LIST: "1, 2",
    ValueKind.UNSIGNED_16_LIST: "68, 1492",
    ValueKind.BOOLEAN: "true",
    ValueKind.TEXT: "any text",
    ValueKind.DOMAINS: "example.org, lab.example.org",
    ValueKind.ROUTES: "10.0.0.0/8 via 198.18.0.1",
    ValueKind.HEX: "01:0a:ff",
}


class OptionType(NamedTuple):
    code: int
    name: str
    kind: ValueKind


_A, _AA, _AP = ValueKind.ADDRESS, ValueKind.ADDRESSES, ValueKind.ADDRESS_PAIRS
_U8, _U16, _U32 = ValueKind.UNSIGNED_8, ValueKind.UNSIGNED_16, ValueKind.UNSIGNED_32
_B, _T, _H = ValueKind.BOOLEAN, ValueKind.TEXT, ValueKind.HEX

_TABLE: tuple[tuple[int, str, ValueKind], ...] = (
    # RFC 2132 3: vendor extensions of RFC 1497
    (1, "subnet-mask", _A),
    (2, "time-offset", ValueKind.SIGNED_32),
    (3, "routers", _AA),
    (4, "time-servers", _AA),
    (5, "name-servers", _AA),
    (6, "domain-name-servers", _AA),
    (7, "log-servers", _AA),
    (8, "cookie-servers", _AA),
    (9, "lpr-servers", _AA),
    (10, "impress-servers", _AA),
    (11, "resource-location-servers", _AA),
    (12, "host-name", _T),
    (13, "boot-size", _U16),
    (14, "merit-dump", _T),
    (15, "domain-name", _T),
    (16, "swap-server", _A),
    (17, "root-path", _T),
    (18, "extensions-path", _T),
    # RFC 2132 4: IP layer of the host
    (19, "ip-forwarding", _B),
    (20, "non-local-source-routing", _B),
    (21, "policy-filter", _AP),
    (22, "max-dgram-reassembly", _U16),
    (23, "default-ip-ttl", _U8),
    (24, "path-mtu-aging-timeout", _U32),
    (25, "path-mtu-plateau-table", ValueKind.UNSIGNED_16_LIST),
    # RFC 2132 5: IP layer of the interface
    (26, "interface-mtu", _U16),
    (27, "all-subnets-local", _B),
    (28, "broadcast-address", _A),
    (29, "perform-mask-discovery", _B),
    (30, "mask-supplier", _B),
    (31, "router-discovery", _B),
    (32, "router-solicitation-address", _A),
    (33, "static-routes", _AP),
    # RFC 2132 6: link layer of the interface
    (34, "trailer-encapsulation", _B),
    (35, "arp-cache-timeout", _U32),
    (36, "ieee802-3-encapsulation", _B),
    # RFC 2132 7: TCP
    (37, "default-tcp-ttl", _U8),
    (38, "tcp-keepalive-interval", _U32),
    (39, "tcp-keepalive-garbage", _B),
    # RFC 2132 8: applications and services
    (40, "nis-domain", _T),
    (41, "nis-servers", _AA),
    (42, "ntp-servers", _AA),
    (43, "vendor-encapsulated-options", _H),
    (44, "netbios-name-servers", _AA),
    (45, "netbios-dd-server", _AA),
    (46, "netbios-node-type", _U8),
    (47, "netbios-scope", _T),
    (48, "font-servers", _AA),
    (49, "x-display-manager", _AA),
    # RFC 2132 9: DHCP itself
    (50, "requested-address", _A),
    (51, "lease-time", _U32),
    (52, "option-overload", _U8),
    (53, "message-type", _U8),
    (54, "server-identifier", _A),
    (55, "parameter-request-list", ValueKind.UNSIGNED_8_LIST),
    (56, "message", _T),
    (57, "maximum-message-size", _U16),
    (58, "renewal-time", _U32),
    (59, "rebinding-time", _U32),
    (60, "vendor-class-identifier", _T),
    (61, "client-identifier", _H),
    (62, "nwip-domain", _T),
    (63, "nwip-suboptions", _H),
    (64, "nisplus-domain", _T),
    (65, "nisplus-servers", _AA),
    (66, "tftp-server-name", _T),
    (67, "boot-file-name", _T),
    (68, "mobile-ip-home-agent", _AA),
    (69, "smtp-servers", _AA),
    (70, "pop-servers", _AA),
    (71, "nntp-servers", _AA),
    (72, "www-servers", _AA),
    (73, "finger-servers", _AA),
    (74, "irc-servers", _AA),
    (75, "streettalk-servers", _AA),
    (76, "streettalk-directory-assistance-servers", _AA),
    # later documents, in order of code
    (77, "user-class", _H),  # RFC 3004
    (78, "slp-directory-agent", _H),  # RFC 2610
    (79, "slp-service-scope", _H),  # RFC 2610
    (80, "rapid-commit", _H),  # RFC 4039
    (81, "fqdn", _H),  # RFC 4702
    (82, "relay-agent-information", _H),  # RFC 3046
    (85, "nds-servers", _AA),  # RFC 2241
    (86, "nds-tree-name", _T),  # RFC 2241
    (87, "nds-context", _T),  # RFC 2241
    (88, "bcmcs-domains", ValueKind.DOMAINS),  # RFC 4280
    (89, "bcmcs-servers", _AA),  # RFC 4280
    (90, "authentication", _H),  # RFC 3118
    (93, "client-architecture", ValueKind.UNSIGNED_16_LIST),  # RFC 4578
    (94, "client-network-interface", _H),  # RFC 4578
    (97, "client-machine-identifier", _H),  # RFC 4578
    (98, "uap-servers", _T),  # RFC 2485
    (99, "geoconf-civic", _H),  # RFC 4776
    (100, "posix-timezone", _T),  # RFC 4833
    (101, "tzdb-timezone", _T),  # RFC 4833
    (108, "ipv6-only-preferred", _U32),  # RFC 8925
    (112, "netinfo-servers", _AA),  # RFC 3679
    (113, "netinfo-tag", _T),  # RFC 3679
    (114, "captive-portal", _T),  # RFC 8910
    (116, "auto-configure", _U8),  # RFC 2563
    (117, "name-service-search", ValueKind.UNSIGNED_16_LIST),  # RFC 2937
    (118, "subnet-selection", _A),  # RFC 3011
    (119, "domain-search", ValueKind.DOMAINS),  # RFC 3397
    (120, "sip-servers", _H),  # RFC 3361
    (121, "classless-static-routes", ValueKind.ROUTES),  # RFC 3442
    (122, "cablelabs-client-configuration", _H),  # RFC 3495
    (123, "geoconf", _H),  # RFC 6225
    (124, "vendor-identifying-class", _H),  # RFC 3925
    (125, "vendor-identifying-options", _H),  # RFC 3925
    (136, "pana-agents", _AA),  # RFC 5192
    (137, "lost-server", ValueKind.DOMAINS),  # RFC 5223
    (138, "capwap-controllers", _AA),  # RFC 5417
    (139, "mos-addresses", _H),  # RFC 5678
    (140, "mos-domains", _H),  # RFC 5678
    (141, "sip-user-agent-domains", ValueKind.DOMAINS),  # RFC 6011
    (145, "forcerenew-nonce-capable", ValueKind.UNSIGNED_8_LIST),  # RFC 6704
    (146, "rdnss-selection", _H),  # RFC 6731
    (150, "tftp-servers", _AA),  # RFC 5859
    (158, "pcp-servers", _H),  # RFC 7291
    (159, "port-parameters", _H),  # RFC 7618
    (161, "mud-url", _T),  # RFC 8520
    (162, "encrypted-dns", _H),  # RFC 9463
    (208, "pxelinux-magic", _H),  # RFC 5071
    (209, "pxelinux-configuration-file", _T),  # RFC 5071
    (210, "pxelinux-path-prefix", _T),  # RFC 5071
    (211, "pxelinux-reboot-time", _U32),  # RFC 5071
    (212, "6rd", _H),  # RFC 5969
    (213, "access-network-domain", ValueKind.DOMAINS),  # RFC 5986
    (249, "microsoft-classless-static-routes", ValueKind.ROUTES),
    (252, "web-proxy-auto-discovery", _T),
)

LEAST = {22: 576, 23: 1, 25: 68, 26: 68, 37: 1}
"""The least that a number may be (RFC 2132 4.4, 4.5, 4.7, 5.1, 7.1): an MTU or a TTL of 0 keeps a
client from the network."""

OPTION_TYPES: dict[int, OptionType] = {row[0]: OptionType(*row) for row in _TABLE}
_BY_NAME = {row.name: row for row in OPTION_TYPES.values()}


def option_type(option: int | str) -> OptionType:
    """The type of an option by code, by name, or by code as text; unknown codes are octets in
    hexadecimal. Raises ConfigError."""
    if isinstance(option, str):
        name = option.strip().lower().replace("_", "-")
        if name in _BY_NAME:
            return _BY_NAME[name]
        number = name.removeprefix("option-")
        if not (number.isascii() and number.isdigit()):
            raise ConfigError(f"option {option!r}", "", "is no known option", _nearest_names(name))
        if len(number) > 9:  # Python makes no number of thousands of digits
            raise ConfigError(f"option {option}", "", "is no option code", "use 1..254")
        option = int(number)
    if not 1 <= option <= 254:
        raise ConfigError(f"option {option}", "", "is no option code", "use 1..254")
    return OPTION_TYPES.get(option) or OptionType(option, f"option-{option}", ValueKind.HEX)


ELSEWHERE = {
    "broadcast": "broadcast-address",
    "default-gateway": "routers",
    "dns": "domain-name-servers",
    "dns-servers": "domain-name-servers",
    "filename": "boot-file-name",
    "gateway": "routers",
    "mtu": "interface-mtu",
    "nameservers": "domain-name-servers",
    "next-server": "tftp-server-name",
    "search": "domain-search",
    "server-name": "tftp-server-name",
    "wins": "netbios-name-servers",
}
"""What other servers' files, and people, call an option. Some are nearer in letters to another one:
next-server (siaddr, which is filled from option 66 here) is no ntp-servers."""
_NEAR = 0.75


def nearest_option(name: str) -> str:
    """The name of the option that is meant, as far as one can tell, or ""."""
    name = name.strip().lower().replace("_", "-")
    near = difflib.get_close_matches(name, _BY_NAME, 1, _NEAR)
    return ELSEWHERE.get(name) or (near[0] if near else "")


def _nearest_names(name: str) -> str:
    near = nearest_option(name)
    return f"did you mean {near}?" if near else "use a code 1..254 or a name such as routers"
