"""Every codec that is registered, against any bytes: an event, or refused with the reason."""

import orjson
import pytest
from hypothesis import HealthCheck, given, settings

from tailrace.collect.codec import DecodeError
from tailrace.collect.codecs import CODECS
from tests.fuzz.samples import GELF, HEC, JSON_LINES, OTLP, SYSLOG, garbage, nested

FLUENT = (b'["2026-01-31T00:00:00Z","tag",{"message":"m"}]', b'["", 1, {}]', nested(150))
LOGSTASH = (b'{"@timestamp":"2026-01-31T00:00:00.123+01:00","message":"m"}', *JSON_LINES)
SAMPLES = {
    "bytes": SYSLOG,
    "events": JSON_LINES,
    "fluent": FLUENT,
    "gelf": (GELF,),
    "json": JSON_LINES,
    "logstash": LOGSTASH,
    "opentelemetry": (*OTLP, b'{"message":"m","timestamp":"2026-01-31T00:00:00.5Z"}', *JSON_LINES),
    "splunk_hec": HEC,
    "syslog": SYSLOG,
}


def test_every_codec_has_samples() -> None:
    assert SAMPLES.keys() >= CODECS.keys()


@pytest.mark.parametrize("name", CODECS)
def test_any_frame_is_events_or_refused(name: str) -> None:
    decode = CODECS[name]

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(garbage(SAMPLES[name]))
    def holds(frame: bytes) -> None:
        try:
            events = decode(frame)
        except DecodeError:
            return
        for event in events:
            assert isinstance(event, dict)
            assert all(isinstance(field, str) for field in event)
        orjson.dumps(events)

    holds()
