-- A store as commit 26b80f1 (schema revision 0003) wrote it, dumped: that of revision 0002, brought
-- up to date and gone on with. It is history: no change of the code changes it.
BEGIN TRANSACTION;
CREATE TABLE address_range (
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	state INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	member INTEGER NOT NULL,
	nonce_incarnation INTEGER NOT NULL,
	nonce_counter INTEGER NOT NULL,
	generation INTEGER NOT NULL,
	CONSTRAINT pk_address_range PRIMARY KEY (first),
	CONSTRAINT ck_address_range_order CHECK ("first" >= 0 AND "first" <= "last" AND "last" <= 4294967295),
	CONSTRAINT ck_address_range_state CHECK (state BETWEEN 1 AND 4),
	CONSTRAINT ck_address_range_versions CHECK (epoch >= 0 AND nonce_incarnation >= 0 AND nonce_counter >= 0 AND generation >= 0),
	CONSTRAINT ck_address_range_member CHECK (member BETWEEN 1 AND 2147483647)
)
 STRICT

;
INSERT INTO "address_range" VALUES(167772170,167772209,2,1,1,1,7,3);
INSERT INTO "address_range" VALUES(167772210,167772220,4,1,2,1,7,3);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE audit (
	seq INTEGER NOT NULL,
	at INTEGER NOT NULL,
	user TEXT NOT NULL,
	action TEXT NOT NULL,
	detail TEXT NOT NULL,
	hash BLOB NOT NULL,
	CONSTRAINT pk_audit PRIMARY KEY (seq),
	CONSTRAINT ck_audit_seq CHECK (seq > 0),
	CONSTRAINT ck_audit_hash CHECK (length(hash) = 32)
)
 STRICT

;
INSERT INTO "audit" VALUES(1,1800000000,'admin','set','lease time 3600',X'72373F1CBCA2930C8B8A1CA879270E9CEAFC8A0B07042995AEE2DA411C1C7AB8');
INSERT INTO "audit" VALUES(2,1800000005,'admin','join','member 2',X'71A558355380D2C98CBF932405387FD30F9BF91257418186C23185F22ADFEE39');
INSERT INTO "audit" VALUES(3,1800000020,'admin','set','probe always',X'A0E90685842AACAF8A8C27C3C7034A6413E79A05E84A4498E6A575E2C784FA40');
CREATE TABLE binding (
	address INTEGER NOT NULL, 
	client_key BLOB NOT NULL, 
	client_id BLOB, 
	hardware_type INTEGER NOT NULL, 
	hardware_address BLOB NOT NULL, 
	hostname TEXT NOT NULL, 
	state INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	grant INTEGER NOT NULL, 
	expires_at INTEGER NOT NULL, 
	potential_expires_at INTEGER NOT NULL, 
	acknowledged_at INTEGER NOT NULL, 
	"transaction" INTEGER NOT NULL, 
	transaction_at INTEGER NOT NULL, 
	transaction_server INTEGER NOT NULL, 
	options BLOB NOT NULL, 
	stream INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	CONSTRAINT pk_binding PRIMARY KEY (address), 
	CONSTRAINT ck_binding_address CHECK (address BETWEEN 0 AND 4294967295), 
	CONSTRAINT ck_binding_state CHECK (state BETWEEN 1 AND 3), 
	CONSTRAINT ck_binding_versions CHECK (epoch >= 0 AND "grant" >= 0), 
	CONSTRAINT ck_binding_expiry CHECK (expires_at >= 0 AND potential_expires_at >= expires_at AND acknowledged_at >= 0), 
	CONSTRAINT ck_binding_transaction CHECK ("transaction" BETWEEN 0 AND 10 AND transaction_at >= 0), 
	CONSTRAINT ck_binding_server CHECK (transaction_server BETWEEN 0 AND 2147483647), 
	CONSTRAINT ck_binding_change CHECK (stream > 0 AND seq > 0)
)
 STRICT

;
INSERT INTO "binding" VALUES(167772170,X'0100000001',X'00000001',1,X'020000000001','host-1',1,1,1,1800003600,1800007200,0,0,1800000000,1,X'0104FFFFFF00',4294967298,6);
INSERT INTO "binding" VALUES(167772171,X'0100000002',NULL,1,X'020000000002','Küche',2,1,1,1800003600,1800007200,0,4,1800000000,1,X'0104FFFFFF00',4294967298,7);
INSERT INTO "binding" VALUES(167772172,X'0100000003',X'00000003',1,X'020000000003','host-3',1,5,1099511627776,1800003600,1800007200,0,7,1800000000,1,X'0104FFFFFF00',4294967298,8);
INSERT INTO "binding" VALUES(167772173,X'0100000004',X'00000004',1,X'020000000004','host-4',3,1,1,1800003600,1800007200,0,10,1800000000,1,X'0104FFFFFF00',4294967298,10);
INSERT INTO "binding" VALUES(167772210,X'0100000009',X'00000009',1,X'020000000009','host-9',1,1,1,1800003600,1800007200,0,0,1800000000,2,X'0104FFFFFF00',8589934593,4);
CREATE TABLE change (
	stream INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	kind INTEGER NOT NULL,
	address INTEGER,
	"key" TEXT,
	CONSTRAINT pk_change PRIMARY KEY (stream, seq),
	CONSTRAINT ck_change_number CHECK (stream > 0 AND seq > 0),
	CONSTRAINT ck_change_kind CHECK (kind BETWEEN 1 AND 5),
	CONSTRAINT ck_change_subject CHECK ((kind = 1) = (address IS NOT NULL) AND (kind > 1) = ("key" IS NOT NULL))
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "change" VALUES(4294967298,1,2,NULL,'10.0.0.0/24');
INSERT INTO "change" VALUES(4294967298,2,2,NULL,'10.0.1.0/24');
INSERT INTO "change" VALUES(4294967298,3,3,NULL,'10.0.0.10-10.0.0.99');
INSERT INTO "change" VALUES(4294967298,4,4,NULL,'10.0.0.0/24:3');
INSERT INTO "change" VALUES(4294967298,5,5,NULL,'10.0.0.5');
INSERT INTO "change" VALUES(4294967298,6,1,167772170,NULL);
INSERT INTO "change" VALUES(4294967298,7,1,167772171,NULL);
INSERT INTO "change" VALUES(4294967298,8,1,167772172,NULL);
INSERT INTO "change" VALUES(4294967298,9,2,NULL,'10.0.2.0/24');
INSERT INTO "change" VALUES(4294967298,10,1,167772173,NULL);
INSERT INTO "change" VALUES(8589934593,4,1,167772210,NULL);
CREATE TABLE counter (
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	CONSTRAINT pk_counter PRIMARY KEY (name),
	CONSTRAINT ck_counter_sign CHECK ("value" >= 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "counter" VALUES('discovers',17);
INSERT INTO "counter" VALUES('engine_beat_ms',123456);
INSERT INTO "counter" VALUES('engine_beats',1);
CREATE TABLE enquiry (
	address INTEGER NOT NULL, 
	asked_ms INTEGER NOT NULL, 
	answered_ms INTEGER NOT NULL, 
	free INTEGER NOT NULL, 
	complete INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	CONSTRAINT pk_enquiry PRIMARY KEY (address), 
	CONSTRAINT ck_enquiry_address CHECK (address BETWEEN 0 AND 4294967295), 
	CONSTRAINT ck_enquiry_times CHECK (asked_ms >= 0 AND answered_ms >= 0 AND epoch >= 0), 
	CONSTRAINT ck_enquiry_flags CHECK (free IN (0, 1) AND complete IN (0, 1))
)
 STRICT

;
INSERT INTO "enquiry" VALUES(167772237,1800000000000,0,0,0,0);
INSERT INTO "enquiry" VALUES(167772238,1800000000000,1800000000005,1,1,4);
CREATE TABLE local (
	id INTEGER NOT NULL, 
	member INTEGER NOT NULL, 
	incarnation INTEGER NOT NULL, 
	engine_id BLOB NOT NULL, 
	engine_boots INTEGER NOT NULL, 
	poll_counter INTEGER NOT NULL, 
	configuration_version INTEGER NOT NULL, 
	ownership_version INTEGER NOT NULL, 
	serving INTEGER NOT NULL, 
	serving_since INTEGER NOT NULL, 
	service INTEGER NOT NULL, 
	unconfirmed INTEGER NOT NULL, 
	recovery TEXT NOT NULL, 
	holds_until INTEGER NOT NULL, 
	tries_until INTEGER NOT NULL, 
	certain_until INTEGER NOT NULL, 
	unseen_at INTEGER NOT NULL, 
	unseen_s INTEGER NOT NULL, 
	vouched INTEGER NOT NULL, 
	token TEXT NOT NULL, 
	boot_id TEXT, 
	offset_ms INTEGER, 
	CONSTRAINT pk_local PRIMARY KEY (id), 
	CONSTRAINT ck_local_single_row CHECK (id = 1), 
	CONSTRAINT ck_local_identity CHECK (member BETWEEN 1 AND 2147483647 AND incarnation BETWEEN 1 AND 4294967295), 
	CONSTRAINT ck_local_engine_id CHECK (length(engine_id) BETWEEN 5 AND 32), 
	CONSTRAINT ck_local_engine_boots CHECK (engine_boots BETWEEN 0 AND 2147483647), 
	CONSTRAINT ck_local_counters CHECK (poll_counter >= 0 AND configuration_version >= 0 AND ownership_version >= 0), 
	CONSTRAINT ck_local_serving CHECK (serving IN (0, 1) AND serving_since >= 0 AND service BETWEEN 1 AND 4), 
	CONSTRAINT ck_local_recovery CHECK (unconfirmed IN (0, 1) AND holds_until >= 0 AND tries_until >= 0), 
	CONSTRAINT ck_local_certain CHECK (certain_until >= 0 AND vouched IN (0, 1)), 
	CONSTRAINT ck_local_unseen CHECK (unseen_at >= 0 AND unseen_s >= 0), 
	CONSTRAINT ck_local_anchor CHECK ((boot_id IS NULL) = (offset_ms IS NULL))
)
 STRICT

;
INSERT INTO "local" VALUES(1,1,2,X'80007ED9056D656D6265722D31',1,1,7,1,1,1799913600,1,0,'',0,0,1800000007,1800000008,9,1,'','6c1f1c3a-0001',1799000000123);
CREATE TABLE lost_store (
	member INTEGER NOT NULL, 
	incarnation INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	CONSTRAINT pk_lost_store PRIMARY KEY (member), 
	CONSTRAINT ck_lost_store_member CHECK (member BETWEEN 1 AND 2147483647), 
	CONSTRAINT ck_lost_store_lost CHECK (incarnation BETWEEN 1 AND 4294967295 AND "at" >= 0)
)
 STRICT

;
INSERT INTO "lost_store" VALUES(3,1,1800000000);
CREATE TABLE member (
	member INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	address INTEGER NOT NULL, 
	port INTEGER NOT NULL, 
	engine_id BLOB NOT NULL, 
	state INTEGER NOT NULL, 
	role INTEGER NOT NULL, 
	weight INTEGER NOT NULL, 
	since INTEGER NOT NULL, 
	clean INTEGER NOT NULL, 
	CONSTRAINT pk_member PRIMARY KEY (member), 
	CONSTRAINT ck_member_member CHECK (member BETWEEN 1 AND 2147483647), 
	CONSTRAINT ck_member_transport CHECK (address BETWEEN 0 AND 4294967295 AND port BETWEEN 1 AND 65535), 
	CONSTRAINT ck_member_state CHECK (state BETWEEN 1 AND 4), 
	CONSTRAINT ck_member_role CHECK (role BETWEEN 1 AND 2), 
	CONSTRAINT ck_member_weight CHECK (weight >= 0), 
	CONSTRAINT ck_member_history CHECK (since >= 0 AND clean IN (0, 1))
)
 STRICT

;
INSERT INTO "member" VALUES(1,'m1',167772161,161,X'80007ED901',1,1,1,0,0);
INSERT INTO "member" VALUES(2,'m2',167772162,161,X'80007ED902',2,1,1,0,0);
INSERT INTO "member" VALUES(3,'m3',167772163,10161,X'80007ED903',3,2,4,0,0);
CREATE TABLE option (
	network INTEGER NOT NULL,
	prefix_length INTEGER NOT NULL,
	code INTEGER NOT NULL,
	data BLOB NOT NULL,
	active INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	version_counter INTEGER NOT NULL,
	version_member INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	CONSTRAINT pk_option PRIMARY KEY (network, prefix_length, code),
	CONSTRAINT ck_option_scope CHECK (network BETWEEN 0 AND 4294967295 AND prefix_length BETWEEN 0 AND 32),
	CONSTRAINT ck_option_host_bits CHECK ((network & (4294967295 >> prefix_length)) = 0),
	CONSTRAINT ck_option_code CHECK (code BETWEEN 1 AND 254),
	CONSTRAINT ck_option_flags CHECK (active IN (0, 1) AND deleted IN (0, 1)),
	CONSTRAINT ck_option_version CHECK (version_counter > 0 AND version_member BETWEEN 1 AND 2147483647),
	CONSTRAINT ck_option_change CHECK (stream > 0 AND seq > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "option" VALUES(167772160,24,3,X'0A000001',1,0,4,1,4294967298,4);
CREATE TABLE pool (
	first INTEGER NOT NULL,
	last INTEGER NOT NULL,
	name TEXT NOT NULL,
	active INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	version_counter INTEGER NOT NULL,
	version_member INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	CONSTRAINT pk_pool PRIMARY KEY (first, last),
	CONSTRAINT ck_pool_order CHECK ("first" >= 0 AND "first" <= "last" AND "last" <= 4294967295),
	CONSTRAINT ck_pool_flags CHECK (active IN (0, 1) AND deleted IN (0, 1)),
	CONSTRAINT ck_pool_version CHECK (version_counter > 0 AND version_member BETWEEN 1 AND 2147483647),
	CONSTRAINT ck_pool_change CHECK (stream > 0 AND seq > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "pool" VALUES(167772170,167772259,'desks',1,0,3,1,4294967298,3);
CREATE TABLE proposal (
	generation INTEGER NOT NULL,
	promised_counter INTEGER NOT NULL,
	promised_member INTEGER NOT NULL,
	accepted_counter INTEGER,
	accepted_member INTEGER,
	value TEXT,
	CONSTRAINT pk_proposal PRIMARY KEY (generation),
	CONSTRAINT ck_proposal_accepted CHECK ((accepted_counter IS NULL) = (accepted_member IS NULL) AND (accepted_counter IS NULL) = ("value" IS NULL)),
	CONSTRAINT ck_proposal_ballots CHECK (generation >= 0 AND promised_counter >= 0)
)
 STRICT

;
INSERT INTO "proposal" VALUES(3,2,1,2,1,'["campus", 3, 600, 3600, 0, 0, 0, [[1, "m1", 167772161, 161, "80007ed901", 1, 1, 1, 0, 0], [2, "m2", 167772162, 161, "80007ed902", 2, 1, 1, 0, 0], [3, "m3", 167772163, 10161, "80007ed903", 3, 2, 4, 0, 0]]]');
INSERT INTO "proposal" VALUES(4,1,2,NULL,NULL,NULL);
CREATE TABLE quarantine (
	generation INTEGER NOT NULL, 
	at INTEGER NOT NULL, 
	mul_s INTEGER NOT NULL, 
	CONSTRAINT pk_quarantine PRIMARY KEY (generation), 
	CONSTRAINT ck_quarantine_quarantine CHECK (generation >= 0 AND "at" >= 0 AND mul_s >= 0)
)
 STRICT

;
INSERT INTO "quarantine" VALUES(3,1800000060,600);
CREATE TABLE remembered_store (
	member INTEGER NOT NULL, 
	incarnation INTEGER NOT NULL, 
	ownership_version INTEGER NOT NULL, 
	CONSTRAINT pk_remembered_store PRIMARY KEY (member), 
	CONSTRAINT ck_remembered_store_member CHECK (member BETWEEN 1 AND 2147483647), 
	CONSTRAINT ck_remembered_store_mark CHECK (incarnation BETWEEN 0 AND 4294967295 AND ownership_version >= 0)
)
 STRICT

;
INSERT INTO "remembered_store" VALUES(2,1,17);
CREATE TABLE reservation (
	address INTEGER NOT NULL,
	client_key BLOB NOT NULL,
	hostname TEXT NOT NULL,
	active INTEGER NOT NULL,
	deleted INTEGER NOT NULL,
	version_counter INTEGER NOT NULL,
	version_member INTEGER NOT NULL,
	stream INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	CONSTRAINT pk_reservation PRIMARY KEY (address),
	CONSTRAINT ck_reservation_address CHECK (address BETWEEN 0 AND 4294967295),
	CONSTRAINT ck_reservation_flags CHECK (active IN (0, 1) AND deleted IN (0, 1)),
	CONSTRAINT ck_reservation_version CHECK (version_counter > 0 AND version_member BETWEEN 1 AND 2147483647),
	CONSTRAINT ck_reservation_change CHECK (stream > 0 AND seq > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "reservation" VALUES(167772165,X'0100000007','printer',1,0,5,1,4294967298,5);
CREATE TABLE server_group (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	generation INTEGER NOT NULL, 
	mul_s INTEGER NOT NULL, 
	lease_s INTEGER NOT NULL, 
	safe_period_s INTEGER NOT NULL, 
	past_mul_s INTEGER NOT NULL, 
	forced INTEGER NOT NULL, 
	decision INTEGER NOT NULL, 
	CONSTRAINT pk_server_group PRIMARY KEY (id), 
	CONSTRAINT ck_server_group_single_row CHECK (id = 1), 
	CONSTRAINT ck_server_group_parameters CHECK (generation >= 0 AND mul_s > 0 AND lease_s > 0 AND safe_period_s >= 0), 
	CONSTRAINT ck_server_group_history CHECK (past_mul_s >= 0 AND forced >= 0 AND decision BETWEEN 0 AND 4294967295)
)
 STRICT

;
INSERT INTO "server_group" VALUES(1,'campus',4,600,3600,30,900,1,77);
CREATE TABLE silent_member (
	member INTEGER NOT NULL, 
	heard INTEGER NOT NULL, 
	CONSTRAINT pk_silent_member PRIMARY KEY (member), 
	CONSTRAINT ck_silent_member_member CHECK (member BETWEEN 1 AND 2147483647), 
	CONSTRAINT ck_silent_member_heard CHECK (heard IN (0, 1))
)
 STRICT

;
INSERT INTO "silent_member" VALUES(2,0);
INSERT INTO "silent_member" VALUES(3,1);
CREATE TABLE snmp_user (
	name TEXT NOT NULL,
	role TEXT NOT NULL,
	auth_protocol TEXT NOT NULL,
	priv_protocol TEXT NOT NULL,
	auth_key BLOB NOT NULL,
	priv_key BLOB NOT NULL,
	auth_master BLOB,
	priv_master BLOB,
	CONSTRAINT pk_snmp_user PRIMARY KEY (name),
	CONSTRAINT ck_snmp_user_user CHECK (length(name) BETWEEN 1 AND 32),
	CONSTRAINT ck_snmp_user_role CHECK (role IN ('monitor', 'operator', 'peer')),
	CONSTRAINT ck_snmp_user_keys CHECK (length(auth_key) > 0 AND length(priv_key) > 0),
	CONSTRAINT ck_snmp_user_master CHECK ((role = 'peer') = (auth_master IS NOT NULL) AND (role = 'peer') = (priv_master IS NOT NULL))
)
 STRICT

;
INSERT INTO "snmp_user" VALUES('admin','operator','sha256','aes128',X'6161616161616161616161616161616161616161616161616161616161616161',X'70707070707070707070707070707070',NULL,NULL);
INSERT INTO "snmp_user" VALUES('peer','peer','sha256','aes128',X'6161616161616161616161616161616161616161616161616161616161616161',X'70707070707070707070707070707070',X'4141414141414141414141414141414141414141414141414141414141414141',X'5050505050505050505050505050505050505050505050505050505050505050');
CREATE TABLE stream (
	stream INTEGER NOT NULL,
	applied INTEGER NOT NULL,
	log_from INTEGER NOT NULL,
	acknowledged INTEGER NOT NULL,
	CONSTRAINT pk_stream PRIMARY KEY (stream),
	CONSTRAINT ck_stream_heads CHECK (stream > 0 AND log_from BETWEEN 0 AND applied AND acknowledged BETWEEN 0 AND applied)
)
 STRICT

;
INSERT INTO "stream" VALUES(4294967298,10,0,0);
INSERT INTO "stream" VALUES(8589934593,4,0,0);
CREATE TABLE subnet (
	network INTEGER NOT NULL, 
	prefix_length INTEGER NOT NULL, 
	lease_s INTEGER NOT NULL, 
	interface TEXT NOT NULL, 
	name TEXT NOT NULL, 
	claims INTEGER NOT NULL, 
	offer_delay_s INTEGER NOT NULL, 
	probe INTEGER NOT NULL, 
	active INTEGER NOT NULL, 
	deleted INTEGER NOT NULL, 
	version_counter INTEGER NOT NULL, 
	version_member INTEGER NOT NULL, 
	stream INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	CONSTRAINT pk_subnet PRIMARY KEY (network, prefix_length), 
	CONSTRAINT ck_subnet_prefix CHECK (network BETWEEN 0 AND 4294967295 AND prefix_length BETWEEN 0 AND 32), 
	CONSTRAINT ck_subnet_host_bits CHECK ((network & (4294967295 >> prefix_length)) = 0), 
	CONSTRAINT ck_subnet_lease CHECK (lease_s BETWEEN 0 AND 4294967295), 
	CONSTRAINT ck_subnet_offers CHECK (claims BETWEEN 1 AND 3 AND offer_delay_s BETWEEN 0 AND 4294967295), 
	CONSTRAINT ck_subnet_probe CHECK (probe BETWEEN 1 AND 3), 
	CONSTRAINT ck_subnet_flags CHECK (active IN (0, 1) AND deleted IN (0, 1)), 
	CONSTRAINT ck_subnet_version CHECK (version_counter > 0 AND version_member BETWEEN 1 AND 2147483647), 
	CONSTRAINT ck_subnet_change CHECK (stream > 0 AND seq > 0)
)
 WITHOUT ROWID,
 STRICT

;
INSERT INTO "subnet" VALUES(167772160,24,1800,'eth0','office',1,0,1,1,0,1,1,4294967298,1);
INSERT INTO "subnet" VALUES(167772416,24,0,'','',1,0,1,0,1,2,1,4294967298,2);
INSERT INTO "subnet" VALUES(167772672,24,900,'eth1','lab',1,0,2,1,0,6,1,4294967298,9);
CREATE INDEX ix_binding_client_key ON binding (client_key);
COMMIT;
