-- A row for each customer, path, or both: requests and failed ones within each of the windows, which
-- all end now. Windows are as long as their minutes, the one that is under way included.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sumForEach(arrayMap(secs -> if(minute > {now:DateTime} - secs, requests, 0), {windows:Array(UInt32)})),
    sumForEach(arrayMap(secs -> if(minute > {now:DateTime} - secs,
        if({failed_from:UInt16} >= 500, server_errors, failed), 0), {windows:Array(UInt32)}))
FROM logs.api_requests_by_minute
WHERE minute > {now:DateTime} - arrayMax({windows:Array(UInt32)}) AND minute <= {now:DateTime}
    AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
    AND ({path:String} = '' OR path = {path:String})
GROUP BY customer, of_path
