-- A row for each customer, path, or both: requests and failed ones of the past days by cells, which
-- windows.py adds up. Whole hours are in the cell of the shortest window that has all of them, 0 to 7;
-- minutes of an hour that a window begins in, or that is under way, in that of the shortest window that
-- has them, and of the hour: 8, 16, … by its place in `hours`.
SELECT
    if({by_customer:Bool}, customer_id, '') AS customer,
    if({by_path:Bool}, path, '') AS of_path,
    sumResample(0, 80, 1)(requests, cell),
    sumResample(0, 80, 1)(bad, cell)
FROM
(
    SELECT
        customer_id,
        path,
        requests,
        if({failed_from:UInt16} >= 500, server_errors, failed) AS bad,
        8 * indexOf({hours:Array(DateTime('UTC'))}, toStartOfHour(minute))
            + arrayCount(start -> minute <= start, {starts:Array(DateTime('UTC'))}) AS cell
    FROM logs.api_requests_by_minute
    WHERE toStartOfHour(minute) IN {hours:Array(DateTime('UTC'))}
        AND minute <= {now:DateTime('UTC')}
        AND minute > {first:DateTime('UTC')}
    UNION ALL
    SELECT
        customer_id,
        path,
        requests,
        if({failed_from:UInt16} >= 500, server_errors, failed),
        arrayCount(start -> hour <= start, {starts:Array(DateTime('UTC'))})
    FROM logs.api_requests_by_hour
    WHERE hour > {first:DateTime('UTC')} AND hour < toStartOfHour({now:DateTime('UTC')})
)
WHERE (empty({customers:Array(String)}) OR customer_id IN {customers:Array(String)})
    AND (empty({paths:Array(String)}) OR path IN {paths:Array(String)})
    AND startsWith(path, {path:String}) AND (NOT {whole_path:Bool} OR path = {path:String})
GROUP BY customer, of_path
