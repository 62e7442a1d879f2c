"""The ClickHouse engine in a process of ours, behind ClickHouse's own HTTP interface."""
