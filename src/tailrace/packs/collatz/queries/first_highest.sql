-- The numbers of the rows with the highest values; see first_steps.sql.
SELECT number FROM rikstv.chains ORDER BY highest DESC, bitNot(number) DESC LIMIT {rows:UInt32}
