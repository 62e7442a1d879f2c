-- Numbers in whose chains a value is, in their order. GROUP BY rather than DISTINCT: with that, ClickHouse
-- reads the whole table in the order of its key, in place of a few thousand rows of the projection.
SELECT number
FROM rikstv.data_series
WHERE value = {value:UInt128} AND number > {after:UInt64}
GROUP BY number
ORDER BY number
LIMIT {limit:UInt32}
