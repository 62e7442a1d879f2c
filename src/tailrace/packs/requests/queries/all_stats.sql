-- As customer_stats.sql, of all customers together.
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
FROM logs.api_requests_by_day_of_all
WHERE day >= {from_date:Date}
