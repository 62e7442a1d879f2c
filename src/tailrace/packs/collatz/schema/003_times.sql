-- The newest steps, whatever the number: only those granules are read that can hold some. Parts that are
-- there get the index when they are merged.
ALTER TABLE rikstv.data_series ADD INDEX IF NOT EXISTS times timestamp TYPE minmax GRANULARITY 1;
