"""How bytes become events, one codec a file, registered by the name that `decoding.codec` gives."""

from collections.abc import Callable

from tailrace.collect.codecs.bytes import decode_bytes
from tailrace.collect.codecs.fluent import decode_fluent
from tailrace.collect.codecs.gelf import decode_gelf
from tailrace.collect.codecs.json import decode_json
from tailrace.collect.codecs.logstash import decode_logstash
from tailrace.collect.codecs.opentelemetry import decode_opentelemetry
from tailrace.collect.codecs.splunk_hec import decode_splunk_hec
from tailrace.collect.codecs.syslog import decode_syslog
from tailrace.collect.transform import Event

Decode = Callable[[bytes], list[Event]]
"""One frame in, its events out; raises `tailrace.collect.codec.DecodeError`."""

CODECS: dict[str, Decode] = {
    "bytes": decode_bytes,
    # What sources write that make events themselves: JSON whose lines are never sent as they are.
    "events": decode_json,
    "fluent": decode_fluent,
    "gelf": decode_gelf,
    "json": decode_json,
    "logstash": decode_logstash,
    "opentelemetry": decode_opentelemetry,
    "splunk_hec": decode_splunk_hec,
    "syslog": decode_syslog,
}
