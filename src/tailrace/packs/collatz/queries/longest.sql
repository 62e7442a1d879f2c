-- The number with the most steps; the smallest of several.
SELECT number FROM rikstv.chains ORDER BY steps DESC, number LIMIT 1
