"""The configuration on the page about Kafka is one."""

from pathlib import Path

from tailrace.collect.config import load
from tailrace.collect.sources.kafka.config import KafkaConfig

PAGE = Path(__file__).parents[3] / "docs" / "kafka.md"


def test_the_pipeline_on_the_page_is_valid_and_lets_messages_pass(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    for comment in ("    # tls", "    # sasl"):
        assert comment in text
    path = tmp_path / "pipeline.yaml"
    path.write_text(text, encoding="utf-8")
    source = load([path]).sources["app_logs"]
    assert isinstance(source, KafkaConfig)
    assert not source.enveloped
