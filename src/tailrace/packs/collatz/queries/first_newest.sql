-- The numbers of the rows that came last; see first_steps.sql.
SELECT number FROM rikstv.chains ORDER BY first_at DESC, number LIMIT {rows:UInt32}
