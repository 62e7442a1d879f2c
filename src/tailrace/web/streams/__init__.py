"""What brokers of Kafka know: topics, groups, messages. Only looks: no group is joined, nothing committed."""

from tailrace.web.streams.cluster import Broker, Partition, Topic
from tailrace.web.streams.configuration import Option
from tailrace.web.streams.groups import Group, Lag, Member
from tailrace.web.streams.messages import Found, Message
from tailrace.web.streams.overview import Asked, Described, Overview
from tailrace.web.streams.places import LONGEST_CURSOR, Wanted
from tailrace.web.streams.streams import NoBrokerError, Streams

__all__ = [
    "LONGEST_CURSOR",
    "Asked",
    "Broker",
    "Described",
    "Found",
    "Group",
    "Lag",
    "Member",
    "Message",
    "NoBrokerError",
    "Option",
    "Overview",
    "Partition",
    "Streams",
    "Topic",
    "Wanted",
]
