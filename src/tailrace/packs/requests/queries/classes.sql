-- Requests since a day by class of latency, in ascending order: how many, how many failed, and their
-- microseconds together. Of one customer, or with '' of all together.
SELECT upto_ms, sum(requests), sum(failed), sum(micros)
FROM logs.api_requests_by_day
WHERE customer_id = {customer_id:String} AND day >= {from_date:Date}
GROUP BY upto_ms
ORDER BY upto_ms
