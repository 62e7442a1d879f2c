"""Where events come from, one protocol a file, registered by Vector's names."""

from tailrace.collect.component import Component
from tailrace.collect.source import Source
from tailrace.collect.sources.demo_logs import DEMO_LOGS
from tailrace.collect.sources.file import FILE
from tailrace.collect.sources.fluent import FLUENT
from tailrace.collect.sources.http_server import HTTP_SERVER
from tailrace.collect.sources.kafka import KAFKA
from tailrace.collect.sources.logstash import LOGSTASH
from tailrace.collect.sources.opentelemetry import OPENTELEMETRY
from tailrace.collect.sources.socket import SOCKET
from tailrace.collect.sources.splunk_hec import SPLUNK_HEC
from tailrace.collect.sources.stdin import STDIN
from tailrace.collect.sources.syslog import SYSLOG

SOURCES: dict[str, Component[Source]] = {
    "demo_logs": DEMO_LOGS,
    "file": FILE,
    "fluent": FLUENT,
    "http_server": HTTP_SERVER,
    "kafka": KAFKA,
    "logstash": LOGSTASH,
    "opentelemetry": OPENTELEMETRY,
    "socket": SOCKET,
    "splunk_hec": SPLUNK_HEC,
    "stdin": STDIN,
    "syslog": SYSLOG,
}
