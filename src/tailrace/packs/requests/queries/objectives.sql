-- A row for each customer, path, or both, whose requests are those since a day: how many there are,
-- how many failed, and how many of the others are of classes of latency up to a time and up to four of
-- them. What has the least left of its budget comes first.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sum(requests) AS n,
    sum(if({failed_from:UInt16} >= 500, server_errors, failed) AS bad) AS all_bad,
    sumIf(requests - bad, upto_ms <= {satisfied_ms:UInt32}),
    sumIf(requests - bad, upto_ms <= {four_ms:UInt32})
FROM logs.api_requests_by_day
WHERE if({every_customer:Bool}, customer_id != '', customer_id = {customer_id:String})
    AND day >= {from_date:Date}
    AND startsWith(path, {path:String}) AND (NOT {whole_path:Bool} OR path = {path:String})
GROUP BY customer, of_path
HAVING (-all_bad / n, customer, of_path) > (-{after_share:Float64}, {after_customer:String}, {after_path:String})
ORDER BY all_bad / n DESC, customer, of_path
LIMIT {rows:UInt32}
