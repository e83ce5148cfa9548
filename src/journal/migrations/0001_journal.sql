-- The journal's tables, for SQLite and PostgreSQL alike: only what both understand. Times are microseconds since 1970.
-- Addresses and UIDs stand in no column: `person` and `address` are keyed hashes of them, `sealed` is encrypted.

-- Keys of this journal, each wrapped by a key from the configuration.
CREATE TABLE journal_key (
    name    TEXT  NOT NULL PRIMARY KEY,
    wrapped BYTEA NOT NULL
);

-- Which addresses were sent to each audience for an account. Written before the first call that uses one. One that is given
-- up (`left_at`) is kept for a while: a call that was on its way then may arrive yet. `hold` tells one writing of it from the
-- next, so that nobody gives up what somebody else wrote meanwhile.
CREATE TABLE journal_link (
    person   BYTEA  NOT NULL,
    esp      TEXT   NOT NULL,
    audience TEXT   NOT NULL,
    address  BYTEA  NOT NULL,
    gigya    TEXT   NOT NULL,
    sealed   BYTEA  NOT NULL,
    since    BIGINT NOT NULL,
    hold     BIGINT NOT NULL,
    left_at  BIGINT,
    PRIMARY KEY (person, esp, audience, address)
);
CREATE INDEX journal_link_address ON journal_link (address);
CREATE INDEX journal_link_left    ON journal_link (left_at) WHERE left_at IS NOT NULL;

-- The chain's end, which the next receipt is joined to, and its beginning, which moves when receipts are pruned.
CREATE TABLE journal_chain (
    id         BIGINT NOT NULL PRIMARY KEY,
    seq        BIGINT NOT NULL,
    hash       BYTEA  NOT NULL,
    first_seq  BIGINT NOT NULL,
    first_hash BYTEA  NOT NULL
);

-- One row a change that took effect, or was found to be in effect; and one an erasure or pruning.
CREATE TABLE journal_receipt (
    seq          BIGINT NOT NULL PRIMARY KEY,
    written_at   BIGINT NOT NULL,
    request      TEXT   NOT NULL,
    connection   TEXT   NOT NULL,
    direction    TEXT   NOT NULL,
    route        TEXT   NOT NULL,
    event        TEXT   NOT NULL,
    event_key    BIGINT NOT NULL,
    change       TEXT   NOT NULL,
    was_found    BIGINT NOT NULL,
    person       BYTEA,
    address      BYTEA,
    acted_from   BIGINT,
    acted_to     BIGINT,
    received_at  BIGINT,
    accepted_at  BIGINT,
    call_id      TEXT,
    note         TEXT,
    salt         BYTEA,
    digest       BYTEA  NOT NULL,
    hash         BYTEA  NOT NULL,
    redeliveries BIGINT NOT NULL,
    redelivered_at BIGINT
);
CREATE INDEX journal_receipt_person  ON journal_receipt (person);
CREATE INDEX journal_receipt_address ON journal_receipt (address);
CREATE INDEX journal_receipt_event   ON journal_receipt (event_key);

-- Events that a person must look at.
CREATE TABLE journal_rejected (
    id         TEXT   NOT NULL PRIMARY KEY,
    first_at   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    times      BIGINT NOT NULL,
    connection TEXT   NOT NULL,
    direction  TEXT   NOT NULL,
    route      TEXT   NOT NULL,
    event      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    person     BYTEA,
    address    BYTEA,
    sealed     BYTEA  NOT NULL
);

-- Events that were acknowledged before they were done.
CREATE TABLE journal_pending (
    id          TEXT   NOT NULL PRIMARY KEY,
    connection  TEXT   NOT NULL,
    direction   TEXT   NOT NULL,
    person      BYTEA,
    address     BYTEA,
    queue       BYTEA  NOT NULL,
    sealed      BYTEA  NOT NULL,
    received_at BIGINT NOT NULL,
    attempts    BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    reason      TEXT   NOT NULL,
    owner       TEXT   NOT NULL,
    leased_to   BIGINT NOT NULL
);
CREATE INDEX journal_pending_next  ON journal_pending (next_at);
CREATE INDEX journal_pending_queue ON journal_pending (queue, id);
