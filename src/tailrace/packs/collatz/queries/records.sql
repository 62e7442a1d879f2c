-- The chains with the most steps, or those that went highest.
SELECT number, max(chains.steps) AS most, max(chains.highest) AS top, max(chains.is_ended) AS ended
FROM rikstv.chains
GROUP BY number
ORDER BY if({by_steps:Bool}, toUInt128(most), top) DESC, number
LIMIT {limit:UInt32}
