SELECT toUnixTimestamp(toStartOfInterval(timestamp, INTERVAL '1' HOUR)) AS at, blob1 AS kind, sum(_sample_interval) AS events
FROM {dataset}
WHERE blob1 IN ('login', 'registration', 'refused') AND timestamp >= toDateTime({since})
GROUP BY at, kind
FORMAT JSON
