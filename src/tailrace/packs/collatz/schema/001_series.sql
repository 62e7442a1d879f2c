-- Messages come into `intake`; views pass them on, a block at a time:
--     intake → messages → data_series, chains and arrivals, or logs.rejected
CREATE DATABASE IF NOT EXISTS rikstv;

CREATE TABLE IF NOT EXISTS rikstv.intake
(
    json String COMMENT 'One message',
    component_id LowCardinality(String) DEFAULT '' COMMENT 'The source of the pipeline that took it',
    peer LowCardinality(String) DEFAULT '' COMMENT 'The partition, or the address that sent it',
    received_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = Null
-- The last statement of this file takes it away. What came before that would be forgotten, since
-- not all views are there: the collector waits as long as a comment begins so.
COMMENT 'Not ready: its views are being made';

-- A message taken apart. What is no natural number of its range is NULL.
CREATE TABLE IF NOT EXISTS rikstv.messages
(
    number Nullable(UInt64),
    step Nullable(UInt32),
    value Nullable(UInt128),
    json String,
    component_id LowCardinality(String),
    peer LowCardinality(String),
    received_at DateTime64(3, 'UTC')
)
ENGINE = Null;

-- One row a step. Chains are read by number; the projection answers in which chains a value is.
-- Values take up to 91 bits for numbers below 10^14 (64848224337147 does), so 64 are not enough.
CREATE TABLE IF NOT EXISTS rikstv.data_series
(
    number UInt64 CODEC(Delta(8), ZSTD(1)) COMMENT 'Where the chain began',
    step UInt32 CODEC(Delta(4), ZSTD(1)) COMMENT '0 is the number itself',
    value UInt128 CODEC(ZSTD(1)),
    timestamp DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1))
        COMMENT 'When it arrived; retention counts from here',
    PROJECTION by_value (SELECT value, number ORDER BY value, number)
)
ENGINE = MergeTree
PARTITION BY toDate(timestamp)
ORDER BY (number, step)
TTL toDateTime(timestamp) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- One row a number and day. A message that came twice changes nothing here but `messages`.
CREATE TABLE IF NOT EXISTS rikstv.chains
(
    number UInt64,
    steps SimpleAggregateFunction(max, UInt32) COMMENT 'The last step that has come',
    highest SimpleAggregateFunction(max, UInt128),
    messages SimpleAggregateFunction(sum, UInt64),
    is_ended SimpleAggregateFunction(max, UInt8) COMMENT 'Whether 1 was reached',
    first_at SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    received_at Date COMMENT 'Retention counts from here'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY number
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- Messages and begun chains by the second, for the dashboard.
CREATE TABLE IF NOT EXISTS rikstv.arrivals
(
    second DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    messages SimpleAggregateFunction(sum, UInt64),
    chains SimpleAggregateFunction(sum, UInt64),
    received_at Date COMMENT 'Retention counts from here'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY second
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.messages_to_data_series TO rikstv.data_series AS
SELECT
    assumeNotNull(number) AS number,
    assumeNotNull(step) AS step,
    assumeNotNull(value) AS value,
    received_at AS timestamp
FROM rikstv.messages
WHERE messages.number IS NOT NULL AND messages.step IS NOT NULL AND messages.value IS NOT NULL;

CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.data_series_to_chains TO rikstv.chains AS
SELECT
    number,
    max(step) AS steps,
    max(value) AS highest,
    count() AS messages,
    max(value = 1) AS is_ended,
    min(timestamp) AS first_at,
    toDate(timestamp) AS received_at
FROM rikstv.data_series
GROUP BY number, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.data_series_to_arrivals TO rikstv.arrivals AS
SELECT
    toStartOfSecond(timestamp) AS second,
    count() AS messages,
    countIf(step = 0) AS chains,
    toDate(timestamp) AS received_at
FROM rikstv.data_series
GROUP BY second, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.messages_to_rejected TO logs.rejected AS
SELECT
    received_at,
    component_id,
    peer,
    concat('cannot use ', multiIf(
        number IS NULL, 'Number: it must be a natural number up to 18446744073709551615',
        step IS NULL, 'Step: it must be a number from 0 to 4294967295',
        'Value: it must be a natural number of at most 38 digits')) AS reason,
    json AS raw
FROM rikstv.messages
WHERE number IS NULL OR step IS NULL OR value IS NULL;

-- JSON numbers are taken as text, so that nothing is rounded; text of digits is as good, which is how
-- programs write them whose own numbers end earlier.
CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.intake_to_messages TO rikstv.messages AS
WITH
    JSONExtract(json, 'Tuple(Number String, Step String, Value String)') AS texts,
    startsWith(trimLeft(json), '{') AS is_object
SELECT
    if(is_object, nullIf(toUInt64OrNull(texts.1), 0), NULL) AS number,
    toUInt32OrNull(texts.2) AS step,
    if(length(texts.3) <= 38, nullIf(toUInt128OrNull(texts.3), 0), NULL) AS value,
    json,
    component_id,
    peer,
    received_at
FROM rikstv.intake;

ALTER TABLE rikstv.intake MODIFY COMMENT '';
