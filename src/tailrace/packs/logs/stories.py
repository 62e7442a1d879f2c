"""What the imagined shop says in its logs: stories of one to six events each.

A story is what one request, or one piece of background work, leaves behind in several sources; its
events share a trace. `{name}` in a message and a bare `name` among the fields stand for a value of
the story (`VALUES`); `name=value` is a field with that value.
"""

from dataclasses import dataclass

EVENT_VALUES = ("duration_ms", "slow_ms", "span_id")
"""Drawn anew for each event."""

STORY_VALUES = (
    "trace_id", "order_id", "user_id", "session_id", "ip", "user_agent", "amount", "currency",
    "gateway", "item_id", "query", "results", "workers", "attempts",
)  # fmt: skip
"""The same in all events of a story."""

VALUES = (*EVENT_VALUES, *STORY_VALUES)
NUMBERS = {"duration_ms", "slow_ms", "user_id", "amount", "results", "workers", "attempts"}
FIELD_NAMES = {"slow_ms": "duration_ms"}
"""Under which name a value appears among the fields, where it is not its own."""


@dataclass(frozen=True)
class Event:
    """One line. `after_ms` is the time since the line before it in its story."""

    source: str
    level: str
    message: str
    fields: str = ""
    after_ms: float = 20.0


@dataclass(frozen=True)
class Story:
    """Events in their order, and how often they happen in relation to other stories."""

    weight: float
    events: tuple[Event, ...]
    traced: bool = True


TOKEN_CHECK = Event(
    "auth", "DEBUG", "session {session_id} is valid", "user_id session_id duration_ms"
)
CHECKOUT = Event(
    "payment", "INFO", "checkout of order {order_id} started",
    "order_id user_id amount currency method=POST path=/api/checkout",
)  # fmt: skip
AUTHORISING = Event(
    "payment", "DEBUG", "asking {gateway} to authorise {amount} {currency}",
    "order_id gateway amount currency",
)  # fmt: skip
RETRYING = Event(
    "payment", "WARNING", "{gateway} did not answer in {slow_ms} ms, attempt {attempts} of 3",
    "order_id gateway attempts slow_ms", 900,
)  # fmt: skip
FAILED = Event(
    "payment", "ERROR", "payment of order {order_id} failed: timeout after 3 attempts at {gateway}",
    "order_id user_id amount currency gateway status=504 error=GatewayTimeout slow_ms", 1500,
)  # fmt: skip

EVERYDAY = (
    Story(14, (
        Event("auth", "INFO", "user {user_id} logged in from {ip}",
              "user_id ip user_agent status=200 duration_ms method=POST path=/api/login"),
        Event("profile", "INFO", "GET /api/profile 200 in {duration_ms} ms",
              "user_id status=200 duration_ms method=GET path=/api/profile"),
    )),
    Story(24, (
        Event("search", "INFO", "search for '{query}' found {results} items in {duration_ms} ms",
              "user_id query results status=200 duration_ms method=GET path=/api/search"),
    )),
    Story(6, (
        TOKEN_CHECK,
        Event("search", "INFO", "search for '{query}' found {results} items in {duration_ms} ms",
              "user_id query results status=200 duration_ms method=GET path=/api/search"),
    )),
    Story(7, (
        Event("search", "DEBUG", "cache miss for '{query}'", "query duration_ms"),
        Event("search", "INFO", "search for '{query}' found {results} items in {duration_ms} ms",
              "user_id query results status=200 duration_ms method=GET path=/api/search"),
        Event("search", "INFO", "item {item_id} viewed by user {user_id}",
              "user_id item_id status=200 duration_ms method=GET path=/api/items", 400),
    )),
    Story(12, (
        TOKEN_CHECK,
        CHECKOUT,
        AUTHORISING,
        Event("payment", "INFO", "payment {amount} {currency} for order {order_id} captured by {gateway}",
              "order_id user_id amount currency gateway status=201 duration_ms", 180),
        Event("profile", "INFO", "order {order_id} added to the history of user {user_id}",
              "order_id user_id duration_ms"),
    )),
    Story(8, (
        Event("profile", "INFO", "user {user_id} changed their address",
              "user_id status=200 duration_ms method=PUT path=/api/profile"),
    )),
    Story(5, (
        Event("search", "WARNING", "slow query '{query}': {slow_ms} ms", "query results slow_ms"),
    )),
    Story(2, (
        TOKEN_CHECK,
        CHECKOUT,
        AUTHORISING,
        RETRYING,
        Event("payment", "INFO", "payment {amount} {currency} for order {order_id} captured by {gateway}",
              "order_id user_id amount currency gateway attempts status=201 duration_ms", 250),
    )),
    Story(3, (
        CHECKOUT,
        Event("payment", "WARNING", "card of user {user_id} declined by {gateway}: insufficient funds",
              "order_id user_id amount currency gateway status=402 duration_ms", 160),
    )),
    Story(6, (
        Event("auth", "WARNING", "wrong password for user {user_id} from {ip}",
              "user_id ip user_agent status=401 duration_ms method=POST path=/api/login"),
    )),
    Story(0.7, (
        Event("auth", "WARNING", "wrong password for user {user_id} from {ip}",
              "user_id ip status=401 duration_ms method=POST path=/api/login"),
        Event("auth", "WARNING", "wrong password for user {user_id} from {ip}",
              "user_id ip status=401 duration_ms method=POST path=/api/login", 300),
        Event("auth", "ERROR", "user {user_id} locked after repeated failures from {ip}",
              "user_id ip status=423 error=AccountLocked", 300),
    )),
    Story(1.3, (
        Event("profile", "ERROR", "cannot store the avatar of user {user_id}: object store answered 503",
              "user_id status=503 error=StorageUnavailable duration_ms method=PUT path=/api/avatar"),
    )),
    Story(1.6, (
        Event("search", "ERROR", "query '{query}' failed: shard 3 did not answer",
              "query status=500 error=ShardUnavailable slow_ms"),
        Event("search", "INFO", "query '{query}' answered from replica", "query results duration_ms"),
    )),
    Story(0.12, (
        Event("profile", "CRITICAL", "connection pool exhausted: 50 of 50 connections in use",
              "workers error=PoolExhausted"),
    ), traced=False),
    Story(4, (
        Event("auth", "DEBUG", "{workers} sessions expired", "workers duration_ms"),
    ), traced=False),
    Story(4, (
        Event("search", "DEBUG", "index segment merged in {slow_ms} ms", "results slow_ms"),
    ), traced=False),
    Story(3, (
        Event("payment", "INFO", "INFO from payment: heartbeat, {workers} workers idle", "workers"),
    ), traced=False),
)  # fmt: skip

INCIDENT = (
    Story(30, (TOKEN_CHECK, CHECKOUT, AUTHORISING, RETRYING, RETRYING, FAILED)),
    Story(10, (
        CHECKOUT,
        Event("payment", "ERROR", "circuit breaker of {gateway} is open: order {order_id} refused",
              "order_id user_id amount currency gateway status=503 error=CircuitOpen"),
    )),
    Story(4, (
        Event("payment", "CRITICAL", "circuit breaker of {gateway} opened after {workers} failures",
              "gateway workers error=CircuitOpen"),
    ), traced=False),
    Story(3, (
        Event("profile", "WARNING", "order {order_id} of user {user_id} still unpaid, kept for later",
              "order_id user_id"),
    )),
)  # fmt: skip
"""What is added to everyday life while a payment gateway is down."""

GATEWAYS = ("stripe", "adyen", "paypal", "klarna")
CURRENCIES = ("EUR", "USD", "GBP", "NOK")
QUERIES = (
    "winter boots", "espresso machine", "usb-c cable", "garden chair", "running shoes", "rain jacket",
    "desk lamp", "noise cancelling headphones", "tent 4 persons", "vélo pliant", "kaffe", "bluetooth",
)  # fmt: skip
USER_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15",
    "ShopApp/5.12.0 (Android 15)",
)
