-- What some chains reached. The numbers are given, not asked for in here: so the index finds their rows.
SELECT
    number,
    max(chains.steps) AS most,
    max(chains.highest) AS top,
    max(chains.is_ended) AS ended,
    sum(chains.messages) AS came,
    min(chains.first_at) AS began
FROM rikstv.chains
WHERE number IN {numbers:Array(UInt64)}
GROUP BY number
