-- As objectives.sql, of all customers together: a row for each path, or one.
SELECT
    '' AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sum(requests),
    sum(if({failed_from:UInt16} >= 500, server_errors, failed) AS bad) AS all_bad,
    sumIf(requests - bad, ms <= {satisfied_ms:UInt32}),
    sumIf(requests - bad, ms <= 4 * {satisfied_ms:UInt32})
FROM logs.api_requests_by_day_of_all
WHERE day >= {from_date:Date} AND ({path:String} = '' OR path = {path:String})
GROUP BY of_path
