"""Every bound of the project, each with its reason. Names end in their unit or in `_MAX`."""

DATAGRAM_MAX = 4096
"""Longest DHCP message read: RFC 2131 2 asks for 576; relays and option 57 go up to an Ethernet
frame, and a longer one is somebody's mistake."""

BATCH_MAX = 256
"""Datagrams in one transaction: past about 64 the cost of a commit is already shared, and a
bigger batch only delays the first reply."""

OFFERS_MAX = 65_536
"""Outstanding offers kept in memory: more are a flood, not clients; the oldest goes first."""

OFFER_HOLD_S = 30
"""How long an offered address is kept for its client: dhclient and udhcpc decide within 10 s."""

RELEASE_HOLD_S = 120
"""An address released by its client is not given to another before (protocol.md 1)."""

DECLINE_HOLD_S = 86_400
"""How long a declined address stays UNAVAILABLE (protocol.md 6)."""

EXPIRY_GRACE_S = 5
"""How long after its expiry an address is still kept from others: it covers the rounding of
expiries that travel between members, and a client whose clock is a little slow."""

MEMBERS_MAX = 16
"""The draft's largest group (2.1)."""

POLL_ANSWER_MAX_AGE_S = 5
"""A poll's answer older than this is void (protocol.md 4)."""

POLL_RANGES_MAX = 256
"""Ranges in one poll message, and verdicts in one answer: fits one datagram."""

UPDATE_RECORDS_MAX = 500
"""Records in one INFORM: one commit at the receiver of about 20 ms, which an engine waits for."""

CHANGE_LOG_MAX = 2_000_000
"""Changes kept for members that are away; past it they pull by address (about 60 MB)."""

BLOCK_ADDRESSES = 16
"""Addresses of one row of the binding block table: about 1,400 octets of records, so that one row
fits an Ethernet frame."""

ADDRESS_RANGES_MAX = 1_000_000
"""Rows of the address table: a pool fully fragmented among members stays under it."""

STORE_RETRY_S = 1
"""Pause of the agent after a commit that failed: a full disk is not mended by asking faster."""

RESTART_DELAY_MAX_S = 30
"""Longest pause before a process that keeps dying is started again: an operator who has mended
the cause should not wait longer."""
