-- What is stored of one chain: each step with its values, which are one unless somebody sent nonsense.
SELECT step, groupUniqArray(100)(value), count()
FROM rikstv.data_series
WHERE number = {number:UInt64}
GROUP BY step
ORDER BY step
LIMIT 100000
