"""Application logs: the table, the pipeline and the generator of the log explorer."""
