-- What stands out, at any number of chains. `chains` is in the order of numbers; its projections have the
-- same rows in the order of what they reached and of when they came, so that the first few are read from
-- their end; bitNot, for of those that are equal the smallest number is the first. A row is of what came of
-- a chain at once: whoever reads the first must see whose they are.
-- 'rebuild': a projection is made anew when parts are merged, since their rows become fewer.
ALTER TABLE rikstv.chains MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild';

ALTER TABLE rikstv.chains
    ADD PROJECTION IF NOT EXISTS by_steps (SELECT steps, number ORDER BY steps, bitNot(number)),
    ADD PROJECTION IF NOT EXISTS by_highest (SELECT highest, number ORDER BY highest, bitNot(number)),
    ADD PROJECTION IF NOT EXISTS by_first_at (SELECT first_at, number ORDER BY first_at, bitNot(number));

-- In the background; a part that has none yet is read whole.
ALTER TABLE rikstv.chains
    MATERIALIZE PROJECTION by_steps,
    MATERIALIZE PROJECTION by_highest,
    MATERIALIZE PROJECTION by_first_at;

-- Chains that reached 1, by their steps. Of numbers there is not a list but a state that tells how many
-- there are, of 12 KB at most: a chain that came twice counts once, and thousands within 1 %.
CREATE TABLE IF NOT EXISTS rikstv.lengths
(
    fifty UInt32 COMMENT 'The steps by 50, rounded down',
    numbers AggregateFunction(uniqCombined(14), UInt64),
    received_at Date COMMENT 'Retention counts from here'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(received_at)
ORDER BY fifty
TTL toDateTime(received_at) + INTERVAL ${retention_days} DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS rikstv.data_series_to_lengths TO rikstv.lengths AS
SELECT
    intDiv(step, 50) AS fifty,
    uniqCombinedState(14)(number) AS numbers,
    toDate(timestamp) AS received_at
FROM rikstv.data_series
WHERE value = 1
GROUP BY fifty, received_at;
