-- Requests since a day by millisecond, in ascending order, of some classes of latency.
SELECT upto_ms, ms, sum(requests)
FROM logs.api_requests_by_millisecond
WHERE upto_ms IN {classes:Array(UInt32)}
    AND customer_id = {customer_id:String}
    AND day >= {from_date:Date}
GROUP BY upto_ms, ms
ORDER BY upto_ms, ms
