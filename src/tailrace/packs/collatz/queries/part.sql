-- Numbers in whose chains a value is, in their order.
SELECT DISTINCT number
FROM rikstv.data_series
WHERE value = {value:UInt128} AND number > {after:UInt64}
ORDER BY number
LIMIT {limit:UInt32}
