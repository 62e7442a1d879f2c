"""The tables in ClickHouse and the one way to reach them."""
