-- Requests as their file has them, and three rollups that every insert adds to, so that what the API
-- and the dashboard ask reads little, whatever the table holds.
CREATE DATABASE IF NOT EXISTS logs;

CREATE TABLE IF NOT EXISTS logs.api_requests
(
    timestamp DateTime('UTC') CODEC(Delta(4), ZSTD(1)) COMMENT 'When the request was, as the line says',
    customer_id LowCardinality(String),
    path LowCardinality(String),
    status UInt16 CODEC(ZSTD(1)) COMMENT 'HTTP status of the answer; below 400 is a success',
    seconds Decimal(18, 6) CODEC(ZSTD(1)) COMMENT 'How long the answer took',
    file LowCardinality(String) COMMENT 'The file that the line stood in',
    received_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
        COMMENT 'When it arrived; retention counts from here'
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY (customer_id, timestamp)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- A day's requests of one customer to one path whose answers took so many milliseconds. From rows by
-- value, quantiles are those of the values themselves; from maps in one row a day (sumMap) they would
-- take four times as long.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_day
(
    day Date,
    customer_id LowCardinality(String),
    path LowCardinality(String),
    ms UInt32 CODEC(Delta(4), ZSTD(1)) COMMENT 'Milliseconds that the answer took',
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)) COMMENT 'Status 400 and above',
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)) COMMENT 'Status 500 and above',
    micros SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1))
        COMMENT 'Microseconds of all answers together',
    received_at Date COMMENT 'When they arrived; retention counts from here'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (customer_id, day, path, ms)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- The same of all customers together.
CREATE TABLE IF NOT EXISTS logs.api_requests_by_day_of_all
(
    day Date,
    path LowCardinality(String),
    ms UInt32 CODEC(Delta(4), ZSTD(1)),
    requests SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    failed SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    server_errors SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    micros SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    received_at Date
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (day, path, ms)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- A minute of one customer's requests to one path: burn rates look at five minutes and at three days.
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

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_day TO logs.api_requests_by_day AS
SELECT
    toDate(timestamp) AS day,
    customer_id,
    path,
    toUInt32(round(seconds * 1000)) AS ms,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    sum(toUInt64(seconds * 1000000)) AS micros,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY day, customer_id, path, ms, received_at;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.api_requests_to_day_of_all TO logs.api_requests_by_day_of_all AS
SELECT
    toDate(timestamp) AS day,
    path,
    toUInt32(round(seconds * 1000)) AS ms,
    count() AS requests,
    countIf(status >= 400) AS failed,
    countIf(status >= 500) AS server_errors,
    sum(toUInt64(seconds * 1000000)) AS micros,
    toDate(api_requests.received_at) AS received_at
FROM logs.api_requests
GROUP BY day, path, ms, received_at;

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
