"""OpenTelemetry's own SDK sends logs: each is found once, with its fields where a user looks."""

import logging
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from tests.integration.collect_system import Collector, Engine, eventually
from tests.integration.collect_system import pipeline as pipeline_of

EVENTS = 10_000
SOURCE = {"type": "opentelemetry", "http": {"address": "127.0.0.1:0"}}


# The handler moves to a package of its own, which would be one more dependency.
@pytest.mark.filterwarnings("ignore:`LoggingHandler`:DeprecationWarning")
def test_the_sdk(engine: Engine, tmp_path: Path) -> None:
    pipeline = pipeline_of(engine.url, otel=SOURCE)
    pipeline["sinks"]["out"]["inputs"] = ["otel.logs"]
    with Collector(pipeline, tmp_path) as collector:
        exporter = OTLPLogExporter(
            f"http://127.0.0.1:{collector.ports['otel']}/v1/logs",
            compression=Compression.Gzip,
            timeout=60,  # what is sent again is there twice
        )
        resource = Resource({"service.name": "shop", "host.name": "web-1"})
        provider = LoggerProvider(resource, shutdown_on_exit=False)
        provider.add_log_record_processor(
            BatchLogRecordProcessor(exporter, max_queue_size=2 * EVENTS)
        )
        logger = logging.getLogger("tests.otel")
        logger.propagate = False
        handler = LoggingHandler(logging.INFO, provider)
        logger.addHandler(handler)
        for number in range(EVENTS):
            logger.error("event %d: ünïcode", number, extra={"order": number})
        logger.removeHandler(handler)
        assert provider.force_flush(60_000)
        provider.shutdown()
        rows = "SELECT count() FROM logs.application_logs"
        eventually(lambda: engine.value(rows) >= EVENTS, "all events")
        (found,) = engine.query(
            "SELECT count() AS events, uniqExact(message) AS messages, "
            "countIf(log_level = 'ERROR') AS levels, "
            "uniqExact(attributes['attributes.order']) AS orders, "
            "countIf(source = 'shop') AS services, "
            "countIf(host = 'web-1') AS hosts, "
            "countIf(abs(dateDiff('second', timestamp, now64(3))) < 600) AS recent "
            "FROM logs.application_logs"
        )
        assert {name: int(value) for name, value in found.items()} == dict.fromkeys(found, EVENTS)
        assert engine.value("SELECT count() FROM logs.rejected") == 0
