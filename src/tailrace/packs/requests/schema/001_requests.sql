-- Requests as their file has them, and the rollups that every insert adds to, so that what the API and
-- the dashboard ask reads little, whatever the table holds. docs/packs/requests.md says which is for what.
CREATE DATABASE IF NOT EXISTS logs;

-- By time, so that newest rows and a dashboard's range are read from one place; who asks for one
-- customer's statistics gets them from a rollup.
CREATE TABLE IF NOT EXISTS logs.api_requests
(
    timestamp DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'When the request was, as the line says',
    customer_id LowCardinality(String),
    path LowCardinality(String),
    status UInt16 CODEC(ZSTD(1)) COMMENT 'HTTP status of the answer; below 400 is a success',
    seconds Decimal(18, 6) CODEC(ZSTD(1)) COMMENT 'How long the answer took',
    file LowCardinality(String) COMMENT 'The file that the line stood in',
    received_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
        COMMENT 'When it arrived; retention counts from here',
    ms UInt32 ALIAS toUInt32(round(seconds * 1000)) COMMENT 'Milliseconds that the answer took',
    step_ms UInt32 ALIAS multiIf(
        ms <= 200, 20, ms <= 500, 50, ms <= 1000, 100, ms <= 2000, 200, ms <= 5000, 500,
        ms <= 10000, 1000, ms <= 20000, 2000, ms <= 50000, 5000, ms <= 100000, 10000,
        ms <= 200000, 20000, ms <= 500000, 50000, 100000)
        COMMENT 'Length of the class of latencies that it is in: a quarter of it at most, or 20 ms',
    upto_ms UInt32 ALIAS intDiv(ms + step_ms - 1, step_ms) * step_ms
        COMMENT 'The greatest latency of that class; classes.py has the same',
    -- An empty one stands for all customers together in the rollups.
    CONSTRAINT has_customer CHECK customer_id != ''
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY (timestamp, customer_id)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
-- The last statement of this file takes it away. The rollups would forget what came before that, since
-- not all views are there: the collector waits as long as a comment begins so.
COMMENT 'Not ready: its views are being made';

-- A day's requests of one customer to one path whose latencies are of one class.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_day
(
    customer_id LowCardinality(String) COMMENT 'Empty: all customers together',
    day Date,
    path LowCardinality(String),
    upto_ms UInt32 CODEC(Delta(4), ZSTD(1)) COMMENT 'The greatest latency of the class',
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)) COMMENT 'Status 400 and above',
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)) COMMENT 'Status 500 and above',
    micros SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1))
        COMMENT 'Microseconds of all answers together',
    received_at Date COMMENT 'When they arrived; retention counts from here'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (customer_id, day, path, upto_ms)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- The same by millisecond: whoever knows the class in which a value lies finds the value here, in few
-- rows, since classes come first in the key.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_millisecond
(
    upto_ms UInt32 CODEC(Delta(4), ZSTD(1)),
    customer_id LowCardinality(String) COMMENT 'Empty: all customers together',
    day Date,
    path LowCardinality(String),
    ms UInt32 CODEC(Delta(4), ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (upto_ms, customer_id, day, path, ms)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- A minute of one customer's requests to one path, and an hour: burn rates look at five minutes and at
-- three days.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_minute
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    customer_id LowCardinality(String),
    path LowCardinality(String),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (minute, customer_id, path)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS logs.api_requests_by_hour
(
    hour DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    customer_id LowCardinality(String),
    path LowCardinality(String),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (hour, customer_id, path)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- A minute's requests to one path that were answered with one status, and a minute's whose latencies
-- are of one class: for the dashboard, which shows any time.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_status
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    path LowCardinality(String),
    status UInt16,
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    within_500_ms SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    within_2_s SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (minute, path, status)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS logs.api_requests_by_latency
(
    minute DateTime('UTC') CODEC(Delta(4), ZSTD(1)),
    upto_ms UInt32 CODEC(Delta(4), ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    all_ms SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)) COMMENT 'Milliseconds of all together',
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (minute, upto_ms)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_day TO logs.api_requests_by_day AS
SELECT
    arrayJoin([toString(api_requests.customer_id), '']) AS customer_id,
    toDate(timestamp) AS day,
    path,
    upto_ms,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    sum(toUInt64(seconds * 1000000)) AS micros,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY customer_id, day, path, upto_ms, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_millisecond TO logs.api_requests_by_millisecond AS
SELECT
    upto_ms,
    arrayJoin([toString(api_requests.customer_id), '']) AS customer_id,
    toDate(timestamp) AS day,
    path,
    ms,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY upto_ms, customer_id, day, path, ms, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_minute TO logs.api_requests_by_minute AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    customer_id,
    path,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY minute, customer_id, path, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_hour TO logs.api_requests_by_hour AS
SELECT
    toStartOfHour(timestamp) AS hour,
    customer_id,
    path,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY hour, customer_id, path, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_status TO logs.api_requests_by_status AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    path,
    status,
    count() AS requests,
    countIf(seconds <= 0.5) AS within_500_ms,
    countIf(seconds <= 2) AS within_2_s,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY minute, path, status, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_latency TO logs.api_requests_by_latency AS
SELECT
    toStartOfMinute(timestamp) AS minute,
    upto_ms,
    count() AS requests,
    sum(ms) AS all_ms,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY minute, upto_ms, received_at;

-- What the dashboard shows of a time, to the second: whole minutes and days from the rollups, and what
-- begins and ends it from the requests themselves.
CREATE VIEW IF NOT EXISTS logs.api_requests_statuses AS
SELECT minute AS at, path, status, requests, within_500_ms, within_2_s
FROM logs.api_requests_by_status
WHERE {step:UInt32} % 60 = 0
    AND minute >= {since:DateTime64(3)} AND minute <= {until:DateTime64(3)} - INTERVAL 60 SECOND
UNION ALL
SELECT timestamp, path, status, 1, seconds <= 0.5, seconds <= 2
FROM logs.api_requests
WHERE timestamp >= {since:DateTime64(3)} AND timestamp < {until:DateTime64(3)}
    AND ({step:UInt32} % 60 != 0
        OR toStartOfMinute(timestamp) < {since:DateTime64(3)}
        OR toStartOfMinute(timestamp) > {until:DateTime64(3)} - INTERVAL 60 SECOND);

-- Up to two hours each latency is its own. For longer, those of a minute that are of one class have
-- their mean.
CREATE VIEW IF NOT EXISTS logs.api_requests_latencies AS
SELECT minute AS at, toUInt32(round(all_ms / requests)) AS ms, requests
FROM logs.api_requests_by_latency
WHERE {until:DateTime64(3)} - {since:DateTime64(3)} > 7200
    AND minute >= {since:DateTime64(3)} AND minute <= {until:DateTime64(3)} - INTERVAL 60 SECOND
UNION ALL
SELECT timestamp, toUInt32(round(seconds * 1000)), 1
FROM logs.api_requests
WHERE timestamp >= {since:DateTime64(3)} AND timestamp < {until:DateTime64(3)}
    AND ({until:DateTime64(3)} - {since:DateTime64(3)} <= 7200
        OR toStartOfMinute(timestamp) < {since:DateTime64(3)}
        OR toStartOfMinute(timestamp) > {until:DateTime64(3)} - INTERVAL 60 SECOND);

-- The same of days: beyond two days, a customer's latencies of a day and path that are of one class have
-- their mean.
CREATE VIEW IF NOT EXISTS logs.api_requests_customers AS
SELECT customer_id, toUInt32(round(micros / requests / 1000)) AS ms, requests, failed
FROM logs.api_requests_by_day
WHERE {until:DateTime64(3)} - {since:DateTime64(3)} > 172800
    AND customer_id != ''
    AND day >= {since:DateTime64(3)} AND day <= {until:DateTime64(3)} - INTERVAL 1 DAY
UNION ALL
SELECT customer_id, toUInt32(round(seconds * 1000)), 1, status >= 400
FROM logs.api_requests
WHERE timestamp >= {since:DateTime64(3)} AND timestamp < {until:DateTime64(3)}
    AND ({until:DateTime64(3)} - {since:DateTime64(3)} <= 172800
        OR toDate(timestamp) < {since:DateTime64(3)}
        OR toDate(timestamp) > {until:DateTime64(3)} - INTERVAL 1 DAY);

ALTER TABLE logs.api_requests MODIFY COMMENT '';
