-- The newest requests, whatever the customer: of the granules that the key does not order by time, only
-- those are read that can hold some. Parts that are there get the index when they are merged.
ALTER TABLE logs.api_requests ADD INDEX IF NOT EXISTS times timestamp TYPE minmax GRANULARITY 1;
