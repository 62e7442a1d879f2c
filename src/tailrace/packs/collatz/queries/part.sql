-- The lowest numbers in whose chains a value is; a message that came twice gives a number twice. Not ORDER BY
-- or DISTINCT: with those, ClickHouse reads the whole table in the order of its key, in place of a few
-- thousand rows of the projection.
SELECT groupArraySorted({limit:UInt32})(number)
FROM rikstv.data_series
WHERE value = {value:UInt128} AND number > {after:UInt64}
