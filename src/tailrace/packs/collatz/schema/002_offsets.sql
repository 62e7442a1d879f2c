-- Says where in its partition a bad message stands. The collector names a batch of Kafka by its offsets,
-- `topic@0@100-250@mark`, and sends that as the insert's token. If the insert has as many lines as the
-- batch has offsets, a line's place is its offset; else (there were messages without a value, or offsets
-- that compaction or transactions took) what is known is the batch's range.
ALTER TABLE rikstv.messages
    ADD COLUMN IF NOT EXISTS place UInt64 COMMENT 'Of the line within the insert',
    ADD COLUMN IF NOT EXISTS lines UInt64 COMMENT 'Of the insert';

ALTER TABLE rikstv.intake_to_messages MODIFY QUERY
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
    received_at,
    rowNumberInBlock() AS place,
    blockSize() AS lines
FROM rikstv.intake;

ALTER TABLE rikstv.messages_to_rejected MODIFY QUERY
WITH
    extract(getSetting('insert_deduplication_token'), '@[0-9]+@([0-9]+-[0-9]+)@') AS offsets,
    toUInt64OrZero(splitByChar('-', offsets)[1]) AS first,
    toUInt64OrZero(splitByChar('-', offsets)[2]) AS end
SELECT
    received_at,
    component_id,
    multiIf(
        -- What is no JSON object comes with its offset.
        offsets = '' OR position(messages.peer, '@') > 0, toString(messages.peer),
        end - first = lines, concat(messages.peer, '@', toString(first + place)),
        concat(messages.peer, '@', offsets)) AS peer,
    concat('cannot use ', multiIf(
        number IS NULL, 'Number: it must be a natural number up to 18446744073709551615',
        step IS NULL, 'Step: it must be a number from 0 to 4294967295',
        'Value: it must be a natural number of at most 38 digits')) AS reason,
    json AS raw
FROM rikstv.messages
WHERE number IS NULL OR step IS NULL OR value IS NULL;
