-- The rows that came last: their numbers and when they came; see first_steps.sql. A number may have begun
-- before, with another row.
SELECT number, first_at FROM rikstv.chains ORDER BY first_at DESC, bitNot(number) DESC LIMIT {rows:UInt32}
