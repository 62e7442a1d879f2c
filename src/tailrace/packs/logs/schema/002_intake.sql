-- The way in. Lines of JSON go into `intake`; materialized views pass them on, a block at a time:
--     intake → fields → sorted → application_logs, or rejected
-- The first three keep nothing. Each step is a table of its own because ClickHouse then works out
-- each expression once: the same in a single view takes three times as long. What few lines need has
-- a view of its own, which gets only those, rather than an `if`, which copies every row.
CREATE TABLE IF NOT EXISTS logs.intake
(
    json String COMMENT 'One JSON object, or an array of them',
    component_id LowCardinality(String) DEFAULT '' COMMENT 'The source of the pipeline that took it',
    peer LowCardinality(String) DEFAULT '' COMMENT 'The address that sent it',
    received_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = Null
-- The last statement of this file takes it away. What came before that would be forgotten, since
-- not all views are there: the collector waits as long as a comment begins so.
COMMENT 'Not ready: its views are being made';

-- A line taken apart. `texts` are the values: strings without quotes, arrays as JSON, NULL for null.
CREATE TABLE IF NOT EXISTS logs.fields
(
    json String,
    component_id LowCardinality(String),
    peer LowCardinality(String),
    received_at DateTime64(3, 'UTC'),
    place UInt64 COMMENT 'Of the line within the insert',
    names Array(String),
    texts Array(Nullable(String))
)
ENGINE = Null;

-- An event with everything in its place. `reason` says why it cannot be stored, and is '' if it can.
CREATE TABLE IF NOT EXISTS logs.sorted
(
    timestamp DateTime64(9, 'UTC'),
    log_level LowCardinality(String),
    message String,
    source LowCardinality(String),
    host LowCardinality(String),
    trace_id String,
    span_id String,
    names Array(String),
    texts Array(Nullable(String)),
    taken Array(UInt64) COMMENT 'Which of them have a column',
    is_by_alias UInt8 COMMENT 'Whether any of those goes by another name',
    received_at DateTime64(3, 'UTC'),
    arrival UInt64,
    component_id LowCardinality(String),
    peer LowCardinality(String),
    reason String,
    raw String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.sorted_to_application_logs TO logs.application_logs AS
WITH
    arrayMap(name -> name NOT IN ('timestamp', 'log_level', 'message', 'source', 'host', 'trace_id',
        'span_id'), names) AS is_attribute
SELECT
    timestamp, log_level, message, source, host, trace_id, span_id,
    mapFromArrays(
        CAST(arrayFilter((name, wanted) -> wanted, names, is_attribute) AS Array(LowCardinality(String))),
        arrayMap(text -> ifNull(text, 'null'),
            arrayFilter((text, wanted) -> wanted, texts, is_attribute))) AS attributes,
    received_at, arrival
FROM logs.sorted
WHERE reason = '' AND NOT is_by_alias;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.sorted_by_alias_to_application_logs TO logs.application_logs AS
WITH
    -- What Vector adds of its own accord is not the event's.
    arrayMap((name, text, place) -> NOT has(taken, place)
            AND NOT (name = 'source_type' AND ifNull(text, '') IN
                ('socket', 'http_server', 'http', 'file', 'stdin', 'syslog', 'demo_logs', 'opentelemetry',
                    'splunk_hec', 'fluent', 'logstash', 'kafka', 'exec', 'vector')),
        names, texts, arrayEnumerate(names)) AS is_attribute
SELECT
    timestamp, log_level, message, source, host, trace_id, span_id,
    mapFromArrays(
        CAST(arrayFilter((name, wanted) -> wanted, names, is_attribute) AS Array(LowCardinality(String))),
        arrayMap(text -> ifNull(text, 'null'),
            arrayFilter((text, wanted) -> wanted, texts, is_attribute))) AS attributes,
    received_at, arrival
FROM logs.sorted
WHERE reason = '' AND is_by_alias;

CREATE MATERIALIZED VIEW IF NOT EXISTS logs.sorted_to_rejected TO logs.rejected AS
SELECT received_at, component_id, peer, reason, raw
FROM logs.sorted
WHERE reason != '';

-- Names: the main one, else the first alias that is there; an alias that was not needed stays an
-- attribute. `timestamp` and `@timestamp` must hold a time. Its other aliases may mean something
-- else (`"time": "13 ms"`): they count only when they hold one.
CREATE MATERIALIZED VIEW IF NOT EXISTS logs.fields_to_sorted TO logs.sorted AS
WITH
    if(indexOf(names, 'log_level') > 0, indexOf(names, 'log_level'), firstNonDefault(
        indexOf(names, 'level'), indexOf(names, 'severity'), indexOf(names, 'loglevel'),
        indexOf(names, 'log.level'), indexOf(names, 'severity_text'), indexOf(names, 'levelname'),
        indexOf(names, 'lvl'), indexOf(names, 'Level'), indexOf(names, 'SeverityText'),
        indexOf(names, '@l'))) AS at_log_level,
    if(indexOf(names, 'message') > 0, indexOf(names, 'message'), firstNonDefault(
        indexOf(names, 'msg'), indexOf(names, 'log'), indexOf(names, 'body'),
        indexOf(names, 'text'), indexOf(names, '_msg'), indexOf(names, '@m'),
        indexOf(names, 'Message'), indexOf(names, 'MESSAGE'), indexOf(names, 'short_message'),
        indexOf(names, 'event'))) AS at_message,
    if(indexOf(names, 'source') > 0, indexOf(names, 'source'), firstNonDefault(
        indexOf(names, 'service'), indexOf(names, 'logger'), indexOf(names, 'app'),
        indexOf(names, 'service.name'), indexOf(names, 'service_name'),
        indexOf(names, 'logger_name'), indexOf(names, 'log.logger'),
        indexOf(names, 'application'), indexOf(names, 'module'), indexOf(names, 'component'),
        indexOf(names, 'appname'), indexOf(names, 'resources.service.name'),
        indexOf(names, 'ServiceName'), indexOf(names, 'program'),
        indexOf(names, 'splunk_source'))) AS at_source,
    if(indexOf(names, 'host') > 0, indexOf(names, 'host'), firstNonDefault(
        indexOf(names, 'hostname'), indexOf(names, 'host.name'), indexOf(names, 'Host'),
        indexOf(names, 'HOSTNAME'), indexOf(names, 'nodename'),
        indexOf(names, 'resources.host.name'))) AS at_host,
    if(indexOf(names, 'trace_id') > 0, indexOf(names, 'trace_id'), firstNonDefault(
        indexOf(names, 'traceId'), indexOf(names, 'traceid'), indexOf(names, 'trace.id'),
        indexOf(names, 'TraceId'), indexOf(names, 'otelTraceID'))) AS at_trace_id,
    if(indexOf(names, 'span_id') > 0, indexOf(names, 'span_id'), firstNonDefault(
        indexOf(names, 'spanId'), indexOf(names, 'spanid'), indexOf(names, 'span.id'),
        indexOf(names, 'SpanId'), indexOf(names, 'otelSpanID'))) AS at_span_id,

    if(indexOf(names, 'timestamp') > 0, indexOf(names, 'timestamp'), indexOf(names, '@timestamp'))
        AS at_sure_time,
    if(at_sure_time > 0, at_sure_time, firstNonDefault(
        indexOf(names, 'time'), indexOf(names, 'ts'), indexOf(names, 'datetime'),
        indexOf(names, 'date'), indexOf(names, '_time'), indexOf(names, 'asctime'),
        indexOf(names, '@t'), indexOf(names, 'Timestamp'), indexOf(names, 'Time'))) AS at_likely_time,
    ifNull(texts[at_likely_time], '') AS time_text,
    -- 2024-01-31T23:59:60.123456789+05:30 and its like, which nearly all are. What the parser would let
    -- roll over into the next day (hour 25, zone +24:00) or take for the first (day 00), is refused.
    substring(time_text, 5, 1) = '-' AND substring(time_text, 8, 1) = '-' AS is_iso,
    substring(time_text, 12, 2) < '24' AND substring(time_text, 15, 2) < '60'
        AND substring(time_text, 18, 2) < '61' AND substring(time_text, 6, 2) != '00'
        AND substring(time_text, 9, 2) != '00'
        AND NOT (substring(time_text, -6, 1) IN ('+', '-') AND substring(time_text, -5, 2) > '23')
        AS is_on_the_clock,
    -- Seconds since 1970, or milliseconds, microseconds, nanoseconds, by the number of digits.
    splitByChar('.', time_text) AS number_parts,
    toUInt64OrZero(number_parts[1]) AS whole,
    multiIf(whole < 10000000000, 1000000000, whole < 100000000000000, 1000000,
        whole < 100000000000000000, 1000, 1) AS nanos_per_unit,
    whole < intDiv(9223372036854775807, nanos_per_unit)
        AND (at_sure_time > 0 OR whole >= 100000000) AS is_number_a_time,
    toInt64(round(toFloat64OrZero(concat('0.', number_parts[2])) * nanos_per_unit)) AS fraction_nanos,
    fromUnixTimestamp64Nano(toInt64(whole * nanos_per_unit) + fraction_nanos, 'UTC') AS number_time,
    multiIf(
        time_text = '', NULL,
        is_iso, if(is_on_the_clock,
            -- Python's logging writes a comma before the milliseconds.
            parseDateTime64BestEffortOrNull(replaceOne(time_text, ',', '.'), 9, 'UTC'), NULL),
        match(time_text, '^[0-9]{1,19}([.][0-9]*)?$'), if(is_number_a_time, number_time, NULL),
        -- A time of day without a date would become one of this year's first of January.
        match(time_text, '^[0-9]{1,2}:[0-9]{2}'), NULL,
        -- 10/Oct/2000:13:55:36 -0700 is how web servers write it.
        parseDateTime64BestEffortOrNull(
            replaceRegexpOne(time_text, '^([0-9]{2}/[A-Za-z]{3}/[0-9]{4}):', '\\1 '), 9, 'UTC')
    ) AS time_read,
    if(at_sure_time > 0 OR time_read IS NOT NULL, at_likely_time, 0) AS at_timestamp,

    upper(trimBoth(ifNull(texts[at_log_level], ''))) AS level_text,
    [
        ('', 'INFO'), ('TRACE', 'DEBUG'), ('VERBOSE', 'DEBUG'), ('VRB', 'DEBUG'), ('DBG', 'DEBUG'),
        ('FINE', 'DEBUG'), ('FINER', 'DEBUG'), ('FINEST', 'DEBUG'), ('INF', 'INFO'),
        ('INFORMATION', 'INFO'), ('INFORMATIONAL', 'INFO'), ('NOTICE', 'INFO'), ('WARN', 'WARNING'),
        ('WRN', 'WARNING'), ('ERR', 'ERROR'), ('SEVERE', 'ERROR'), ('CRIT', 'CRITICAL'),
        ('FATAL', 'CRITICAL'), ('FTL', 'CRITICAL'), ('ALERT', 'CRITICAL'), ('PANIC', 'CRITICAL'),
        ('EMERG', 'CRITICAL'), ('EMERGENCY', 'CRITICAL'),
        -- syslog's numbers
        ('0', 'CRITICAL'), ('1', 'CRITICAL'), ('2', 'CRITICAL'), ('3', 'ERROR'), ('4', 'WARNING'),
        ('5', 'INFO'), ('6', 'INFO'), ('7', 'DEBUG'),
        -- those of bunyan and pino
        ('10', 'DEBUG'), ('20', 'DEBUG'), ('30', 'INFO'), ('40', 'WARNING'), ('50', 'ERROR'),
        ('60', 'CRITICAL')
    ] AS level_names,
    ifNull(texts[at_host], '') AS own_host,

    -- bitAnd and bitOr in place of AND and OR: those leave their last terms for later, which takes
    -- three times as long here.
    bitAnd(time_text != '', bitAnd(at_sure_time > 0, isNull(time_read))) AS is_time_wrong,
    bitOr(at_log_level != indexOf(names, 'log_level'), bitOr(at_message != indexOf(names, 'message'),
        bitOr(at_source != indexOf(names, 'source'), bitOr(at_host != indexOf(names, 'host'),
        bitOr(at_trace_id != indexOf(names, 'trace_id'), bitOr(at_span_id != indexOf(names, 'span_id'),
        bitOr(at_likely_time != indexOf(names, 'timestamp'), bitOr(has(names, 'source_type'),
        -- A name that is there twice: the second one is not lost, either.
        arrayCount(name -> name IN ('timestamp', 'log_level', 'message', 'source', 'host', 'trace_id',
            'span_id'), names) > (at_likely_time > 0) + (at_log_level > 0) + (at_message > 0)
            + (at_source > 0) + (at_host > 0) + (at_trace_id > 0) + (at_span_id > 0))))))))) AS is_by_alias
SELECT
    ifNull(time_read, toDateTime64(received_at, 9, 'UTC')) AS timestamp,
    transform(level_text, level_names.1, level_names.2, level_text) AS log_level,
    ifNull(texts[at_message], '') AS message,
    ifNull(texts[at_source], '') AS source,
    if(own_host != '', own_host, replaceRegexpOne(peer, '^\\[?(.*?)\\]?:[0-9]+$', '\\1')) AS host,
    ifNull(texts[at_trace_id], '') AS trace_id,
    ifNull(texts[at_span_id], '') AS span_id,
    names,
    texts,
    [at_timestamp, at_log_level, at_message, at_source, at_host, at_trace_id, at_span_id] AS taken,
    is_by_alias,
    received_at,
    toUnixTimestamp64Milli(received_at) * 1048576 + place AS arrival,
    component_id,
    peer,
    multiIf(
        is_time_wrong, concat('cannot read the timestamp ''', substringUTF8(time_text, 1, 100), ''''),
        notEmpty(names), '',
        JSONType(json) = 'Object', '',
        NOT isValidUTF8(json), 'cannot read the line: it is not valid UTF-8',
        NOT isValidJSON(json), 'cannot read the line: it is not JSON, or nested too deep',
        concat('cannot store a JSON ', lower(toString(JSONType(json))), ': an event is a JSON object')
    ) AS reason,
    json AS raw
FROM logs.fields;

-- A line with a single brace is a flat object, or nothing that we take. Nearly all lines are flat.
CREATE MATERIALIZED VIEW IF NOT EXISTS logs.intake_to_fields TO logs.fields AS
WITH JSONExtract(json, 'Map(String, Nullable(String))') AS top
SELECT json, component_id, peer, received_at, place, mapKeys(top) AS names, mapValues(top) AS texts
FROM (SELECT *, rowNumberInBlock() AS place FROM logs.intake)
WHERE position(json, '{', 2) = 0;

-- Any other may hold objects inside an object: they are flattened to dotted names, three levels deep.
-- Or it may be an array of objects, which is as many events.
CREATE MATERIALIZED VIEW IF NOT EXISTS logs.nested_intake_to_fields TO logs.fields AS
WITH
    JSONExtractKeysAndValuesRaw(json) AS one,
    arrayFlatten(arrayMap(pair -> if(startsWith(pair.2, '{') AND pair.2 != '{}',
        arrayMap(inner -> (concat(pair.1, '.', inner.1), inner.2), JSONExtractKeysAndValuesRaw(pair.2)),
        [pair]), one)) AS two,
    arrayFlatten(arrayMap(pair -> if(startsWith(pair.2, '{') AND pair.2 != '{}',
        arrayMap(inner -> (concat(pair.1, '.', inner.1), inner.2), JSONExtractKeysAndValuesRaw(pair.2)),
        [pair]), two)) AS three
SELECT
    json, component_id, peer, received_at, place + number - 1 AS place, three.1 AS names,
    arrayMap(raw -> if(raw = 'null', NULL, if(startsWith(raw, '"'), JSONExtractString(raw), raw)),
        three.2) AS texts
FROM
(
    WITH
        if(match(line, '^[ \\t]*\\['), JSONExtractArrayRaw(line), []) AS elements,
        if(notEmpty(elements) AND arrayAll(element -> startsWith(element, '{'), elements),
            elements, [line]) AS events
    SELECT event.1 AS json, event.2 AS number, component_id, peer, received_at, place
    FROM (SELECT *, json AS line, rowNumberInBlock() AS place FROM logs.intake)
    ARRAY JOIN arrayZip(events, arrayEnumerate(events)) AS event
    WHERE position(line, '{', 2) > 0
);

ALTER TABLE logs.intake MODIFY COMMENT 'The way in: lines of JSON, which its views sort';
