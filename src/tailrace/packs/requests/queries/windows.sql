-- A row for each customer, path, or both: requests and failed ones within each of the seven windows,
-- which all end now. Windows are as long as their minutes, the one that is under way included.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    [
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[1]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[2]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[3]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[4]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[5]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[6]),
        sumIf(requests, minute > {now:DateTime} - {windows:Array(UInt32)}[7])
    ],
    [
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[1]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[2]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[3]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[4]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[5]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[6]),
        sumIf(bad, minute > {now:DateTime} - {windows:Array(UInt32)}[7])
    ]
FROM
(
    SELECT *, if({failed_from:UInt16} >= 500, server_errors, failed) AS bad
    FROM logs.api_requests_by_minute
    WHERE minute > {now:DateTime} - arrayMax({windows:Array(UInt32)}) AND minute <= {now:DateTime}
        AND ({customer_id:String} = '' OR customer_id = {customer_id:String})
        AND ({path:String} = '' OR path = {path:String})
)
GROUP BY customer, of_path
