"""Why the engine met a message with silence or NAK: its reasons, in words for people.

The words are those of dhcpSyncDropTable and of the log, in the order in which a message is judged.
docs/drops.md is drawn from here (tools/diagrams.py); tests/tools/test_drops.py holds it and the
code against each other.
"""

from __future__ import annotations

from typing import NamedTuple


class Drop(NamedTuple):
    """`to_do`: "" where there is nothing to be done."""

    means: str
    to_do: str = ""


_BROKEN = "Look at the sender with a packet dump; no DHCP client sends this."

NO_MESSAGE: dict[str, Drop] = {
    "too_long": Drop("The datagram is longer than the engine takes.", _BROKEN),
    "truncated": Drop("The datagram is shorter than a DHCP message.", _BROKEN),
    "bad_cookie": Drop("The magic cookie (RFC 2131 3) is missing or another.", _BROKEN),
    "bad_op": Drop(
        "`op` is no BOOTREQUEST: another server's reply, say.",
        "Where there are many, a relay or switch sends replies back to servers.",
    ),
    "bad_hlen": Drop("The length of the hardware address cannot be.", _BROKEN),
    "truncated_option": Drop("An option runs over the end of its field.", _BROKEN),
    "bad_overload": Drop("Option 52 says what it cannot say.", _BROKEN),
    "bad_option": Drop("An option has a length that it cannot have (RFC 2132).", _BROKEN),
    "no_message_type": Drop(
        "Option 53 is missing: a BOOTP client.", "BOOTP alone is not served; such a device needs"
        " an address of its own.",
    ),
    "bad_message_type": Drop("Option 53 is no message that a client sends.", _BROKEN),
    "no_client": Drop("Neither a hardware address nor a client identifier.", _BROKEN),
    "no_address": Drop("A REQUEST, RELEASE, DECLINE or INFORM that names no address.", _BROKEN),
}  # fmt: skip
"""What is no valid message, or none that says what it must."""

NOT_FOR_US: dict[str, Drop] = {
    "hops": Drop(
        "More relays on the way than RFC 1542 allows.", "Two relays send to each other in a ring."
    ),
    "interface_not_served": Drop(
        "It came in at an interface that is not in `dhcp.interfaces` of member.toml.",
        "Add the interface there, if its clients are to be served.",
    ),
    "no_subnet": Drop(
        "No subnet in service holds the relay's address, or one of the interface.",
        "Configure the subnet; look whether the relay sends from the address that you think.",
    ),
    "other_server": Drop("The client has chosen another server, and names it."),
    "others_client": Drop(
        "The subnet has an `offer-delay`, and another member answers this client; this one does"
        " when the client says that it has been trying for so long."
    ),
    "no_room_to_answer": Drop(
        "What must be echoed (client identifier, option 82) is longer than the answer that the"
        " client takes (option 57).",
        "Shorten what the relay puts into option 82.",
    ),
}

NOT_NOW: dict[str, Drop] = {
    "not_serving": Drop(
        "This member answers nobody: it joins, starts, recovers, is paused or shut down, or out of"
        " the group.",
        "`dhcpsync status` says which.",
    ),
    "store_failing": Drop(
        "The store does not commit: the member leaves new clients to the others.",
        "Make room on the disk, or mend it (docs/situations.md, \"A disk that is full, or"
        " fails\").",
    ),
    "store_slow": Drop(
        "A commit takes 2 s or longer: what is offered now would be acknowledged too late.",
        "See what else writes to that disk.",
    ),
    "maybe_declared_dead": Drop(
        "This member may have been declared dead, and the others hold nothing back for it any more"
        " that would be a lease to speak of.",
        "Bring the others within its reach (docs/situations.md, \"A member that may have been"
        " declared dead\").",
    ),
    "address_tried": Drop(
        "The address is being tried by ARP or ICMP; the message is handled anew in a moment."
    ),
    "reserved_asked": Drop(
        "The client's reserved address is being asked for at the other members; the message is"
        " handled anew in a moment.",
        "Where it stays so, a member is silent: `dhcpsync status`.",
    ),
    "claim_asked": Drop(
        "A client in REBINDING claims a lease without a record; the members are being asked, and"
        " the message is handled anew in a moment."
    ),
    "no_free_address": Drop(
        "A new client, and this member has no free address for it. Others may have: they answer,"
        " and this one asks them for some.",
        "`dhcpsync status`: a pool that is full needs more addresses, or a shorter lease.",
    ),
}  # fmt: skip
"""What this member cannot do at this moment."""

NOT_THIS_ADDRESS: dict[str, Drop] = {
    "wrong_network": Drop(
        "NAK: the address that the client names is not of the network that it is in; it has moved."
    ),
    "reserved_elsewhere": Drop(
        "NAK: another address is reserved for this client, and it can have that one at once."
    ),
    "reserved_for_other": Drop("NAK, but to a DISCOVER: the address is reserved for another one."),
    "not_in_pool": Drop(
        "The address is in no pool in service, and not reserved.",
        "A pool was made smaller, or the client comes from another server's time; it begins anew"
        " when its lease is over.",
    ),
    "server_address": Drop("The address is a member's own, or one of its interfaces."),
    "named_address": Drop(
        "Options name the address (routers, servers), or the relay has it: it is given to nobody.",
        "Leave it out of the pool.",
    ),
    "offered_to_other": Drop("The address has just been offered to another client."),
    "promised_to_other": Drop("Another member may give the address: it was promised to it."),
    "bound_to_other": Drop(
        "Another client has the address, or rests on it. NAK where every member has just said so."
    ),
    "declined": Drop(
        "The client itself has said of this address that somebody else uses it (DECLINE).",
        "Find who has it by the hardware address in `dhcpsync lease show`, and ARP.",
    ),
    "unknown_binding": Drop(
        "The client names an address that this member has no record of, and is not sure about:"
        " silence, for another member may know (RFC 2131 4.3.2)."
    ),
    "ended_before_joining": Drop(
        "The lease was over before this member served: others may have given the address since."
    ),
    "has_another_lease": Drop(
        "The client has a lease in this network, and names another address that nobody offered it."
    ),
    "claim_denied": Drop(
        "A client in REBINDING claims a lease without a record, and `claims` of its subnet says"
        " no.",
        "`claims = \"accept\"` believes it, once nobody answers at the address.",
    ),
    "known_elsewhere": Drop("The same, and another member knows that the address is not its own."),
    "answered_by_other": Drop(
        "Another machine answers at the address: it becomes UNAVAILABLE for a day.",
        "Find that machine: it has an address that nobody gave it.",
    ),
}  # fmt: skip
"""What the client cannot have."""

GIVEN_BACK: dict[str, Drop] = {
    "not_holder": Drop(
        "RELEASE or DECLINE of an address by a client that does not have it, or from elsewhere."
    ),
    "too_many_declines": Drop(
        "DECLINE after so many others of one client, link or pool that it only counts as RELEASE.",
        "Something on that link answers for every address: a firewall, a proxy, an attacker.",
    ),
}

CHAPTERS = {
    "Not a message": NO_MESSAGE,
    "Not for this member": NOT_FOR_US,
    "Not now": NOT_NOW,
    "Not this address": NOT_THIS_ADDRESS,
    "RELEASE and DECLINE": GIVEN_BACK,
}


def drops_page() -> str:
    """Markdown: a table for each chapter."""
    lines = []
    for title, drops in CHAPTERS.items():
        lines += [f"\n## {title}\n", "| reason | what it means | what to do |", "|---|---|---|"]
        lines += [f"| `{name}` | {one.means} | {one.to_do} |" for name, one in drops.items()]
    return "\n".join([*lines, ""])
