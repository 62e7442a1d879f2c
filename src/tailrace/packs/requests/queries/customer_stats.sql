-- One row: requests, failed ones, microseconds together, and two of the latencies in milliseconds,
-- by their places in ascending order: n / 2 and, of a hundred or more, 99 n / 100 - 1, else the last.
WITH
    mapSort(sumMap(latencies)) AS counts,
    arrayCumSum(mapValues(counts)) AS upto,
    sum(requests) AS total,
    if(total >= 100, intDiv(total * 99, 100) - 1, total - 1) AS place_of_p99
SELECT
    total,
    sum(failed),
    sum(micros),
    mapKeys(counts)[arrayFirstIndex(n -> n > intDiv(total, 2), upto)],
    mapKeys(counts)[arrayFirstIndex(n -> n > place_of_p99, upto)]
FROM logs.api_requests_by_day
WHERE customer_id = {customer_id:String} AND day >= {from_date:Date}
