-- The number whose chain went highest; the smallest of several.
SELECT number FROM rikstv.chains ORDER BY highest DESC, number LIMIT 1
