-- The numbers of the rows with the most steps, from the end of a projection. A chain has a row for each part
-- of it that came by itself and was not merged yet: its number may be there again, the first time with what
-- it reached. Any other order, or another column, would read all rows.
SELECT number FROM rikstv.chains ORDER BY steps DESC, bitNot(number) DESC LIMIT {rows:UInt32}
