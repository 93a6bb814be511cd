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

OFFER_CHOICE_S = 10
"""After so long an offer that is not answered yields to a client that would get none: who has not
chosen by then has chosen another server's, or was none."""

OFFERS_LOOKED_AT = 1024
"""Of the oldest offers, how many are looked through for one that yields: less than 0.1 ms."""

RELEASE_HOLD_S = 120
"""An address released by its client is not given to another before (docs/protocol.md, "Serving
clients")."""

DECLINE_HOLD_S = 86_400
"""How long a declined address stays UNAVAILABLE (docs/protocol.md, "Serving clients")."""

EXPIRY_GRACE_S = 5
"""How long after its expiry an address is still kept from others: it covers the rounding of
expiries that travel between members, and a client whose clock is a little slow."""

MEMBERS_MAX = 16
"""The draft's largest group (2.1)."""

MEMBERS_LISTED_MAX = 128
"""Members in a group's value, those included that are gone for good, whose numbers are never used
again: a new machine every month for ten years; the value still fits a quarter of a datagram."""

MUL_MAX_S = 7 * 86_400
"""Longest MUL: after a member's death its addresses are held back for so long."""

LEASE_MAX_S = 365 * 86_400
"""Longest lease time of a group that is not infinite: a typing error is longer."""

SAFE_PERIOD_MIN_S = 60
"""Shortest safe period: a member that is started anew, or a switch, must not count as a death."""

GENERATION_MAX = 2**31 - 1
"""Generations of a group: a change a second for 68 years. An epoch holds one in its upper half, and
a store keeps 63 bits."""

POLL_ANSWER_MAX_AGE_S = 5
"""A poll's answer older than this is void (docs/protocol.md, "The complete poll")."""

POLL_RANGES_MAX = 256
"""Ranges in one poll message, and verdicts in one answer: fits one datagram."""

UPDATE_RECORDS_MAX = 500
"""Records in one INFORM: one commit at the receiver of about 20 ms, which an engine waits for."""

CHANGE_LOG_MAX = 2_000_000
"""Changes kept for members that are away; past it they pull by address (about 60 MB)."""

OWN_CHANGES_KEPT = 256
"""The latest changes of a member's own stream, kept when everybody has them: they tell where its
engine is in a pool. Most may be renewals."""

BLOCK_ADDRESSES = 16
"""Addresses of one row of the binding block table: about 1,400 octets of records, so that one row
fits an Ethernet frame."""

STORE_RETRY_S = 1
"""Pause of the agent after a commit that failed: a full disk is not mended by asking faster."""

COMMIT_TRUSTED_MS = 2_000
"""A commit that succeeded so lately says that the next one will; a first client after it pays for a
trial, which is one commit."""

COMMIT_SLOW_MS = 2_000
"""A member whose commits take so long makes no offers: simple clients wait 3 s for an answer, and
one commit may already be ahead of theirs."""

STORE_ALARM_MS = 10_000
"""So often a store that fails and commits in turns is told of (a disk with room for a little)."""

STORE_TRIAL_MS = 2_000
"""So often the agent tries whether its store commits: within 3 s, a Hello more, the group knows."""

ENGINE_SILENT_MS = 2_000
"""An engine of which nothing was written for so long is called silent: it writes once a second,
one commit may be slow, and with a Hello more the group knows within 3 s."""

ENGINE_STARTS_MS = 5_000
"""How long an engine that starts together with its agent is waited for: on a slow machine it takes
a second or two to open its store."""

WATCH_MS = 500
"""So often a member looks what is not well, with itself and the group: with ENGINE_SILENT_MS and a
Hello it is under 3 s until all members have told their operators of an engine that died."""

WATCH_LEAST_MS = 50
"""And never sooner than so long after the last look, however soon the engine would count as
silent."""

POOL_COUNT_AGAIN_MS = 1_000
"""A pool that may have become full, or is, is counted again for the member's health after so
long."""

POOL_COUNT_SHARE = 200
"""And not before so many times what the last count took: half a percent of a processor."""

HEALTH_QUIET_MS = 10_000
"""How long after its start, or after it came into its group, a member tells nobody that something
is not well: it has to hear the others first, and to compare what each has."""

DISK_LOW_OCTETS = 64 << 20
"""Free octets of the store's file system below which a member warns: eight times the log that one
checkpoint folds in, and rows of some 200,000 clients."""

RESTART_DELAY_MAX_S = 30
"""Longest pause before a process that keeps dying is started again: an operator who has mended
the cause should not wait longer."""

STREAMS_MAX = 1_024
"""Streams in one vector: 16 members of 64 incarnations each; a Hello then still fits 16 kB."""

CONFIGURATION_RECORDS_MAX = 65_535
"""Configuration records in one answer: the count's own size; a site has hundreds."""

EXPIRY_SLACK_S = 2
"""Expiries of one lease this close are equal to a merge: it is what rounding and clocks make of
them on the way, less than EXPIRY_GRACE_S, and telling it would only be answered by the next."""

CLIENT_IDENTIFIER_MAX = 255
"""Longest client identifier (RFC 2132 9.14): one option; a longer one is no honest client's."""

CLIENT_IDENTIFIER_MIN = 2
"""Shortest client identifier: a type and something of that type (RFC 2132 9.14)."""

HARDWARE_ADDRESS_MAX = 16
"""Octets of `chaddr` (RFC 2131 2)."""

NAME_OCTETS_MAX = 64
"""Names that people give to subnets, pools and members: a line of a table."""

INTERFACE_OCTETS_MAX = 15
"""Name of an interface (Linux: IFNAMSIZ, less its end)."""

HOST_NAME_OCTETS_MAX = 255
"""A host name: one option 12, and a domain name is no longer (RFC 1035 2.3.4)."""

LOGGED_HOST_NAME_MAX = 64
"""Characters of a client's host name in the log, as dhcpd has it: a longer one is no name."""

SCOPE_OCTETS_MAX = 64
"""Name of a scope: a shared network's, or a prefix, a range, an address as text, all shorter."""

OPTION_OCTETS_MAX = 1_024
"""Value of an option, split where it is longer than 255 (RFC 3396): the longest that leaves room
for the others in REPLY_SIZE_MAX."""

RELAY_HOPS_MAX = 16
"""A message relayed more often is going round in circles (RFC 1542 4.1.1)."""

FREE_CHUNK = 1024
"""Addresses of a BINDABLE range looked at in one step: enough for 0.1 s of offers at full load,
and one short index scan."""

RANGE_WINDOW = 16_384
"""Addresses whose ranges are read at once when looking for free ones: a /8 takes 1,024 reads in
the worst case, and a fully fragmented window stays a few MB."""

OWNERSHIP_BLOCKS_MAX = 4096
"""Blocks of 256 addresses whose ranges are remembered: a million addresses, about 2 MB."""

REPLY_TEMPLATES_MAX = 1024
"""Encoded option sets remembered: clients choose the parameter request list, so it is bounded."""

REPLY_HEADS_MAX = 256
"""Beginnings of replies remembered for one template: one for each lease time that is being given;
renewals before an acknowledgement have many."""

LINKS_MAX = 4096
"""Relay addresses whose subnet is remembered between packets."""

DECLINES_PER_CLIENT_MAX = 4
"""DECLINEs believed from one client within DECLINE_HOLD_S: an honest client meets a duplicate once
or twice, a hostile one would burn the pool."""

DECLINES_PER_LINK_MAX = 64
"""The same for all clients behind one relay circuit (option 82), or one relay or interface: it
bounds a client that changes its identity."""

DECLINES_POOL_DIVISOR = 8
"""At most this part (1/8, at least one address) of a pool is believed to be declined at once."""

DECLINES_MAX = 4096
"""DECLINEs believed by one member within DECLINE_HOLD_S, all together: they are kept in memory."""

ENQUIRIES_MAX = 256
"""Addresses that the members are asked about at one time: such clients are few after a disaster,
and whoever makes them up must not keep the members busy. One message asks for as many."""

ENQUIRY_FRESH_MS = 90_000
"""How long an answer serves: a client that REBINDs tries again after a minute at the earliest
(RFC 2131 4.4.5)."""

WISH_MS = 60_000
"""How long a member asks for a reserved address that a client waits for, and keeps it for that
client: it tries again within a minute, and others may want to serve it."""

WISH_AGAIN_MS = 1_000
"""After so long a reserved address is asked for again: a member that has just heard of the
reservation gives it back meanwhile, and the client's message is handled anew then
(HELD_WAIT_MS)."""

PROBE_SENDS = 2
"""How often an address is asked for: a frame is easily lost, two seldom (RFC 5227 sends three)."""

PROBE_RESEND_MS = 400
"""Between two sends: more than any answer takes on a link, so that two do not meet one burst."""

PROBE_WAIT_MS = 1_000
"""How long answers are waited for after the last send: a sleeping host takes that long (RFC 5227
waits 1 to 2 s)."""

PROBE_FRESH_MS = 90_000
"""How long the result of a probe serves, as ENQUIRY_FRESH_MS: the client tries again within it."""

HELD_WAIT_MS = PROBE_RESEND_MS * (PROBE_SENDS - 1) + PROBE_WAIT_MS + 100
"""After so long a message is handled anew whose answer was being found out: a probe is over by
then, and the members, asked at the same time, answer sooner."""

HELD_TRIES = 3
"""How often it is: an enquiry waits up to POLL_ANSWER_MAX_AGE_S for a member that may be dead."""

HELD_MAX = ENQUIRIES_MAX
"""Messages kept for that at one time: each is about an address that the members are asked about."""

RESERVED_WAIT_MS = 4_000
"""How long a client waits for its reserved address while the agent asks for it: that takes a second
or two where it can be had at all, and a message is handled anew for the last time just after."""

RESERVED_WAIT_AGAIN_MS = 900_000
"""After a wait in vain the client gets another address at once for so long, or its lease extended:
what stands in the way (a member's quarantine) lasts for minutes."""

PROBES_MAX = 8_192
"""Probes remembered at one time, about 2 MB: DOUBTFUL_MAX addresses are tried in 1.4 s, and each is
remembered for PROBE_FRESH_MS, so that a pool without fresh addresses serves 45 clients a second."""

DOUBTFUL_MAX = 64
"""Addresses of a pool remembered as needing a probe before their next use: what a minute of new
clients takes when nothing else is left."""

TRIED_AHEAD = 8
"""Of those, how many are kept tried: as many ARP frames a minute and a half for each pool."""

FORMER_LEASE_MAX_S = 366 * 86_400
"""Longest lease of a former server that is waited for: who tries every address for longer wants to
do it always (`probe = "always"`)."""

RECENT_LEASE_MAX_S = 86_400
"""A client that lost its address longer ago is taken to be gone, however long the leases are."""

REPLY_SIZE_DEFAULT = 548
"""Octets of a DHCP message that every client takes: 576 less IP and UDP headers (RFC 2131 2)."""

REPLY_SIZE_MAX = 1472
"""Longest reply: it is never worth a fragment, whatever option 57 allows."""

REPLY_SIZE_MIN = 300
"""Shortest reply: relays and BOOTP clients drop shorter ones (RFC 1542 2.1)."""

LEASE_LEAST_S = 10
"""A lease that ends sooner is none: a client's own retransmissions take as long (RFC 2131 4.1)."""

REQUESTED_LEASE_MIN_S = 60
"""Shortest lease given because the client asks for a short one (option 51)."""

RECEIVE_BUFFER = 1 << 20
"""Octets of the DHCP socket's receive buffer: about 2,000 packets, 0.2 s at full load. A longer
queue would only answer clients that have given up, and late answers are work for nothing."""

COUNTER_FLUSH_MS = 1000
"""Counters go to the store at most this often: each flush is a commit."""

SNMP_VARBINDS_MAX = 10_000
"""Variable bindings decoded from one message: the shortest takes 7 octets, so a full datagram
cannot hold more; a longer list is not from a datagram."""

SNMP_REQUEST_VARBINDS_MAX = 1_024
"""Variable bindings answered for one GET, GETNEXT or SET, and repeaters of a GETBULK: each may cost
a query."""

SNMP_MESSAGE_OCTETS_MAX = 65_507
"""Longest SNMP message: the payload of an IPv4 datagram (RFC 3417 3.2)."""

SNMP_COMMUNITY_OCTETS_MAX = 1_472
"""Longest answer to SNMPv2c: one frame. Its requests may bear anybody's address as their source."""

SNMP_BOOTS_OF_CLOCK_MAX = 2**31 - 2**24
"""Greatest snmpEngineBoots that a start takes from the wall clock (it gets there in 2087): from
here 16 million starts are left, one a minute for 30 years."""

SNMP_DATAGRAMS_A_TURN = 64
"""Datagrams taken from the socket before the event loop goes on: at most 2 ms of work."""

SNMP_RECEIVE_BUFFER = 4 << 20
"""Octets of the SNMP socket's receive buffer: 0.3 s of a flood of 10 Mbit/s of small messages,
longer than anything keeps the event loop."""

SNMP_SEND_WAITING_MAX = 256
"""Messages that wait for room in the socket's send buffer: more than one pull of a peer."""

SNMP_SOURCE_MESSAGES_PER_S = 3_000
"""Messages of one source that are read: three times what a manager gets answered that walks as fast
as it can; reading them takes 5 % of a processor."""

SNMP_MEMBER_MESSAGES_PER_S = 10_000
"""The same of a member of the group: its pushes and pulls must come through, whatever else is sent
in its name."""

SNMP_STRANGERS_MESSAGES_PER_S = 6_000
"""Messages that are read of all sources together of which nothing authentic has been seen: a tenth
of a processor, and 6,000 managers may still introduce themselves in a second."""

SNMP_SOURCE_REPORTS_PER_S = 100
"""Reports to one source: a manager needs two for each session that it begins."""

SNMP_KNOWN_REPORTS_PER_S = 1_000
"""The same to a member, or to a source from which something authentic has come: many processes of
one manager may begin at once."""

SNMP_REPORTS_PER_S = 1_000
"""Reports to all strangers together: each may go to a false source, and is longer than what asked
for it."""

SNMP_STRANGERS_MAX = 4_096
"""Sources of which nothing authentic has been seen, remembered for their budgets: about 2 MB."""

SNMP_KNOWN_SOURCES_MAX = 1_024
"""Sources with budgets of their own, since something authentic has come from them: managers are
few."""

SNMP_ROWS_MAX = 2_000
"""Rows read for one GETBULK: more fit no datagram."""

SNMP_REQUEST_MS_MAX = 500
"""Processor time that the answer to one request that reads may take: a page of the largest table
takes a tenth of it, and two such requests keep others waiting no longer than a manager waits."""

SNMP_CLIENT_KEY_MAX = 100
"""Octets of a key in dhcpSyncClientTable: an object identifier has at most 128 sub-identifiers."""

SNMP_CLIENT_PAGE = 64
"""Addresses of one client looked up at once: a reader who asks for one more pays for the search
again, and few clients have that many."""

SNMP_BLOCKS_PAGE = 64
"""Rows of the binding block table read at once: about as many as fit one datagram."""

SNMP_EXCHANGES_MAX = 1_024
"""Answers of polls and proposals kept for their askers: 16 members times 64 attempts."""

SNMP_PEERS_PENDING_MAX = 512
"""Requests of peers taken from the network and not answered yet; more are dropped, as UDP would:
15 members that each have 8 under way, four times."""

SNMP_PEERS_PENDING_OCTETS_MAX = 8 << 20
"""Octets of their variable bindings: 15 members that each have 8 full datagrams under way."""

SNMP_PEOPLE_PENDING_MAX = 256
"""The same of all managers together, whose requests never take the peers' room."""

SNMP_PEOPLE_PENDING_OCTETS_MAX = 1 << 20
"""Octets of their variable bindings, which take ten times as much once they are decoded: 10 MB."""

SNMP_SOURCE_PENDING_MAX = 64
"""The same of one source: a manager asks one question after the other, and a few at a time."""

SNMP_SOURCE_PENDING_OCTETS_MAX = 128 << 10
"""An eighth of what all managers have together: two full datagrams, or 64 requests of the size that
pollers send."""

SNMP_COMMUNITY_PENDING_MAX = 16
"""The same of everybody who knows the community: their sources prove nothing."""

SNMP_LOGGED_PER_MINUTE_MAX = 60
"""Lines a minute about refused requests of one user: a person reads no more."""

SNMP_PEER_OUTSTANDING_MAX = 8
"""Requests to one peer under way at once: enough to fill a link, too few to flood its queue."""

SNMP_CHANGES_TRIED_MAX = 32
"""Changes of a refused SET that are left out one by one, to find the one at fault: each costs a
look at the whole configuration, and people put fewer in one SET."""

SNMP_AUDIT_DETAIL_MAX = 4_096
"""Characters of a SET that the audit keeps: an option's value fits."""

AUDIT_REFUSALS_PER_MINUTE_MAX = 20
"""Refused SETs of one user that the audit keeps of one minute: more than a person makes, and too
few commits for an engine to feel."""

AUDIT_REFUSALS_KEPT_MAX = 20_000
"""Refused SETs of one user that the audit keeps at all, since no entry of its chain can be taken
out again: about 10 MB for each of the few users, and a mistake every day for 50 years."""

AUDIT_REFUSAL_DETAIL_MAX = 512
"""Characters of a refused SET that the audit keeps: the reason, and which objects it was about."""

BLOCK_POLLED_MAX = 4_096
"""Largest block of addresses that a complete poll asks for as one (docs/architecture.md)."""

ORDERS_REMEMBERED_MAX = 256
"""Pools whose order of blocks is kept: hashing is dear, and the order changes with the group."""

POLL_BINDINGS_MAX = 8_192
"""Bindings read to answer one poll: about 40 ms, for which the engine waits, and two whole blocks;
what lies behind them is not agreed to."""

CHOOSE_BINDINGS_MAX = 2_048
"""Bindings read at a time in the search for addresses to poll for: about 20 ms, for which the
engine waits."""

WISHES_MAX = 16
"""Membership changes that wait for their ballot: no more than a group has members."""

PUSH_BEHIND_MAX = 5_000
"""A peer that lacks more changes of mine is not pushed to but left to pull, many rows at a time
and perhaps from somebody else: both at once would send everything twice."""

STORE_BUSY_TIMEOUT_MS = 5000
"""How long the store waits for a program that is not ours (a backup, an sqlite3 shell)."""

STORE_CHECKPOINT_PAGES = 2000
"""8 MB of log, then one commit of about 10 ms folds it into the database; four times as much makes
renewals a tenth faster and that commit three times longer."""

STORE_CACHE_KIB = 16_384
"""Page cache of a connection: the engine's 120 MB leave room for a writer and a reader."""

STORE_STATEMENTS_MAX = 512
"""Prepared statements kept by a connection: all of ours, so that none is parsed twice."""

STORE_CONNECTIONS_MAX = 8
"""Transactions at one time in one process: one writes, others wait for it, some read."""

STORE_KEYS_MAX = 512
"""Keys of one IN list; more are asked for in several statements."""

SNMP_THREADS = 3
"""Threads that answer SNMP reads and SETs from the store: one long GETBULK does not delay a GET."""

SNMP_PEOPLE_THREADS = 2
"""How many of them read for managers: whatever they ask, a peer's pull is read at once. No more of
one manager's requests wait for them at a time, so that managers take turns."""

REFUSALS_MAX = 4_096
"""Refused ranges that a poller remembers for a while: more than one poll of a full pool gives."""

SWITCH_INTERVAL_S = 0.0002
"""How long a thread of the agent may keep the interpreter while another waits for it."""

STORE_WATCH_MS = 50
"""The agent looks at the engine's commits at most this often: under load there are hundreds in a
second, and each look takes the store's lock for a moment."""

VERSION_MAX = 1 << 48
"""Versions of a configuration row below this are taken from a peer: one step each millisecond
takes 8,900 years to get there, so a greater one is an error that would leave no room above it."""

GRANT_MAX = 1 << 31
"""The same for the grants of a lease: 68 years of one renewal each second; the wire has 32 bits."""

STANDING_NOTE_S = 1
"""How often a running member notes how far its store has come: a copy of the store that is older
than that is told from the store by the member alone."""

GC_THRESHOLDS = (50_000, 20, 50)
"""Allocations before the garbage collector looks: about twice a second in a busy engine."""

NEW_POOL_QUIET_MS = 60_000
"""How long a pool is new: it fills within a second once every member is reached, and nobody needs
to be told that it begins empty."""

NOTICES_MAX = 256
"""Notifications that wait to be sent: more in a moment are one event told many times, and every one
of them is seen in a table too."""

NOTICE_PACE_MS = 20
"""Pause after each notification to one target: 50 a second neither flood an NMS nor hold up the
agent, to which one costs about 1 ms."""

NOTICE_BURST = 4
"""Notifications about one member, pool or address that are sent as they come: down, up, and
again."""

NOTICE_AGAIN_S = 60
"""After those, one for so long: the latest, if it says something new. A member that flaps for a
night sends 700, not 30,000."""

NOTICE_SUBJECTS_MAX = 4_096
"""Members, pools and addresses whose notifications are counted so: more than a group has, about
1 MB."""

NOTICE_TARGETS_MAX = 16
"""Targets of notifications in a member's file: an NMS, its twin, and room."""

CONFLICT_PARTIES_MAX = 4
"""Clients that the row of a conflict names: two are the case, more a disaster whose first four are
enough to look for; so a row stays within the options' length."""

FREE_TOLD_MAX = 32
"""Pools of which a Hello tells the free addresses: 256 octets; more pools take turns."""

TRANSFER_ATTEMPT_S = 5
"""How long a member waits for one giver before it asks another: clients are waiting."""

TRANSFER_BINDINGS_MAX = 2_048
"""Bindings read to find what can be given: about 20 ms, for which the giver's engine waits."""

SURVEY_BINDINGS_MAX = 8_192
"""Bindings counted at a time to know what is left of a pool: about 2 ms inside SQLite."""

USED_UP_MAX = 4_096
"""Runs of used-up addresses that a member remembers not to count again: 256 addresses each at
least, about 1 MB."""

COUNT_RUN = 256
"""Addresses that are counted together: a count for each of 65,000 addresses is then 256 numbers."""

DEMAND_S = 60
"""What clients took of a pool within this time is its demand here: a restock takes a second, so a
minute's worth in hand is plenty."""

DECISION_MAX = 2**32 - 1
"""Numbers drawn for decisions: that two of one generation are equal is as good as impossible."""

GENERATIONS_AHEAD_MAX = 1_024
"""Generations by which a side of a fork that does not stand may have been ahead: an operator's
changes of a month. A record from further ahead is a mistake of its sender."""

OFFER_DELAY_MAX_S = 3_600
"""Longest service delay of RFC 3074: `secs` counts 18 hours, and no client
waits so long."""

CONFIGURATION_READS_MAX = 6
"""Whole readings for one dump: who changes the configuration so often is waited for by a person."""

CONFIG_FILE_OCTETS_MAX = 16 << 20
"""Octets of one cluster.toml or bootptab: CONFIGURATION_RECORDS_MAX rows of 250; a longer file was
meant for something else, and would be read for minutes before that is found out."""

CONFIG_KEY_PARTS_MAX = 127
"""Parts of one dotted key of a cluster.toml. The longest that means something has four; but as many
as a domain name's labels may stand in a text, and the time to read a key grows as their square."""

CONFIG_ERRORS_MAX = 100
"""Errors of one cluster.toml that are told: after each that stands between rows all rows are judged
again, and a file with more was written for something else."""

APPLIED_GROUPS_MAX = 4
"""Groups that one file is known to have been applied to: the one that serves, and those that tried
it before."""

APPLIED_OCTETS_MAX = 64 << 20
"""Octets of what is kept of them: the rows of the longest file, as JSON."""

EVENTS_KEPT_MAX = 100_000
"""Events that a member keeps: about 8 MB; weeks of a site of 4,000 clients, whose renewals are not
told, or the 10 s of a busy engine that a reader may be behind."""

EVENTS_TRIM = 1_000
"""So many events are forgotten together: 0.2 ms of one batch in thirty, instead of a statement of
each."""

EVENTS_PAGE = 1_000
"""Events that a reader takes in one transaction: 2 ms."""

EVENTS_LOG_S = 1
"""So often the log asks for events: a line a second late is read by nobody sooner."""

EVENTS_LOG_SAVE_S = 10
"""So often it keeps how far it has come, a commit each: so much is told twice after a crash."""

SHORTAGE_AGAIN_S = 60
"""So often an event tells of a network without a free address, while clients go on asking."""

SWEEP_BINDINGS = 2_048
"""Bindings that the engine looks through once a second for leases that have ended, inside SQLite: a
millisecond, and a million are seen in 8 minutes."""
