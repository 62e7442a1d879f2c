-- The chains that began last.
SELECT number, max(chains.steps) AS most, max(chains.highest) AS top, max(chains.is_ended) AS ended
FROM rikstv.chains
GROUP BY number
ORDER BY min(chains.first_at) DESC, number
LIMIT {limit:UInt32}
