-- One row: requests, failed ones, microseconds together, and two of the latencies in milliseconds,
-- by their places in ascending order: n / 2 and, of a hundred or more, 99 n / 100 - 1, else the last.
WITH
    arraySort(groupArray((ms, of_ms))) AS counts,
    arrayCumSum(counts.2) AS upto,
    sum(of_ms) AS total,
    if(total >= 100, intDiv(total * 99, 100) - 1, total - 1) AS place_of_p99
SELECT
    total,
    sum(failed_of_ms),
    sum(micros_of_ms),
    counts[arrayFirstIndex(n -> n > intDiv(total, 2), upto)].1,
    counts[arrayFirstIndex(n -> n > place_of_p99, upto)].1
FROM
(
    SELECT ms, sum(requests) AS of_ms, sum(failed) AS failed_of_ms, sum(micros) AS micros_of_ms
    FROM logs.api_requests_by_day
    WHERE customer_id = {customer_id:String} AND day >= {from_date:Date}
    GROUP BY ms
)
