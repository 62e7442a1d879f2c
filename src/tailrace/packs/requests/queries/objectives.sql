-- A row for each customer, path, or both, whose requests are those since a day: how many there are,
-- how many failed, and how many of the others were answered within a time and within four of them.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sum(requests),
    sum(if({failed_from:UInt16} >= 500, server_errors, failed) AS bad) AS all_bad,
    sumIf(requests - bad, ms <= {satisfied_ms:UInt32}),
    sumIf(requests - bad, ms <= 4 * {satisfied_ms:UInt32})
FROM logs.api_requests_by_day
WHERE day >= {from_date:Date}
    AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
    AND ({path:String} = '' OR path = {path:String})
GROUP BY customer, of_path
