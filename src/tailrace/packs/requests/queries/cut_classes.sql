-- As objectives.sql, the good requests of the classes that one of the two times cuts, as far as they
-- are within it.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sumIf(requests - if({failed_from:UInt16} >= 500, server_errors, failed) AS good,
        upto_ms > {satisfied_ms:UInt32} AND ms <= {satisfied_ms:UInt32}),
    sumIf(good, upto_ms > {four_ms:UInt32} AND ms <= {four_ms:UInt32})
FROM logs.api_requests_by_millisecond
WHERE upto_ms IN {classes:Array(UInt32)}
    AND if({every_customer:Bool}, customer_id != '', customer_id = {customer_id:String})
    AND day >= {from_date:Date}
    AND startsWith(path, {path:String}) AND (NOT {whole_path:Bool} OR path = {path:String})
GROUP BY customer, of_path
