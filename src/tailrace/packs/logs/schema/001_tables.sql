-- What people read: one row an event. How rows are paged: docs/decisions/002-paging.md; why this key,
-- these codecs and indexes: docs/decisions/001-key-and-indexes.md.
CREATE DATABASE IF NOT EXISTS logs;

CREATE TABLE IF NOT EXISTS logs.application_logs
(
    timestamp DateTime64(9, 'UTC') DEFAULT received_at CODEC(Delta(8), ZSTD(1))
        COMMENT 'When it happened, as the event says; when it arrived, where the event does not',
    log_level LowCardinality(String) DEFAULT 'INFO'
        COMMENT 'DEBUG, INFO, WARNING, ERROR, CRITICAL, or a name of the event''s own in upper case',
    message String CODEC(ZSTD(1)),
    source LowCardinality(String)
        COMMENT 'The module or service that spoke',
    host LowCardinality(String)
        COMMENT 'The event''s own, else the address that sent it',
    trace_id String CODEC(ZSTD(1)),
    span_id String CODEC(ZSTD(1)),
    attributes Map(LowCardinality(String), String) CODEC(ZSTD(1))
        COMMENT 'Every other field; nested objects by dotted names, arrays as JSON',
    received_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1))
        COMMENT 'When it arrived; retention counts from here',
    arrival UInt64 DEFAULT toUnixTimestamp64Milli(received_at) * 1048576 + rowNumberInBlock()
        CODEC(Delta(8), ZSTD(1))
        COMMENT 'Place in the order of arrival: orders rows of one timestamp as they came',
    row_hash UInt64 ALIAS
        cityHash64(log_level, message, source, host, trace_id, span_id, attributes)
        COMMENT 'Tells rows apart that share timestamp and arrival, which two batches of one ms may',
    attribute_items Array(String) ALIAS
        arrayMap((name, value) -> concat(name, '=', value), mapKeys(attributes), mapValues(attributes))
        COMMENT 'Search attributes by has(attribute_items, ''name=value''): only this uses the index',
    INDEX message_words lower(message) TYPE text(tokenizer = 'splitByNonAlpha') GRANULARITY 100000000,
    INDEX attribute_words
        arrayMap((name, value) -> concat(name, '=', value), mapKeys(attributes), mapValues(attributes))
        TYPE text(tokenizer = 'array') GRANULARITY 100000000,
    INDEX trace_words trace_id TYPE bloom_filter(0.001) GRANULARITY 1,
    -- For live tail, which asks for what arrived last: most of a large part did not.
    INDEX arrival_times received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
PRIMARY KEY timestamp
ORDER BY (timestamp, arrival)
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

-- What could not be stored, whole, with the reason.
CREATE TABLE IF NOT EXISTS logs.rejected
(
    received_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta(8), ZSTD(1)),
    component_id LowCardinality(String) COMMENT 'The source of the pipeline that took it',
    peer String COMMENT 'The address that sent it',
    reason String,
    raw String CODEC(ZSTD(3)) COMMENT 'The bytes as they came'
)
ENGINE = MergeTree
PARTITION BY toDate(received_at)
ORDER BY received_at
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;
