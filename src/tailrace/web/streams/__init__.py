"""What brokers of Kafka know: topics, groups, messages. Only looks: no group is joined, nothing committed."""

from tailrace.web.streams.messages import Found, Wanted
from tailrace.web.streams.overview import Overview
from tailrace.web.streams.streams import NoBrokerError, Streams

__all__ = ["Found", "NoBrokerError", "Overview", "Streams", "Wanted"]
