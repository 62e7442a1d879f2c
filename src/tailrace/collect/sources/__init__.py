"""Where events come from, one protocol a file, registered by Vector's names."""

from tailrace.collect.component import Component
from tailrace.collect.source import Source
from tailrace.collect.sources.file import FILE
from tailrace.collect.sources.http_server import HTTP_SERVER
from tailrace.collect.sources.socket import SOCKET
from tailrace.collect.sources.stdin import STDIN
from tailrace.collect.sources.syslog import SYSLOG

SOURCES: dict[str, Component[Source]] = {
    "file": FILE,
    "http_server": HTTP_SERVER,
    "socket": SOCKET,
    "stdin": STDIN,
    "syslog": SYSLOG,
}
