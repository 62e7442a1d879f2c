"""Options of the sink `file`, as Vector names them."""

import posixpath
from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from tailrace.collect.component import SinkConfig
from tailrace.collect.encoding import NEWLINE_DELIMITED, Encoding, SinkFraming
from tailrace.collect.options import Acknowledgements
from tailrace.collect.template import Template
from tailrace.collect.timezones import TimezoneName


class FileConfig(SinkConfig):
    """Appends events to files."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **SinkConfig.not_taken,
        "internal_metrics": "no metric has the file as a label",
        "truncate": "files are only appended to",
    }

    templates: ClassVar[frozenset[str]] = frozenset({"path"})

    type: Literal["file"] = "file"

    path: str
    """File to append to; strftime's letters and `{{ field }}` are filled in for each event."""

    base_dir: str | None = None
    """Folder that no event may lead out of; unset: that of the literal text before `{{`."""

    dangerously_allow_unconfined_template_resolution: bool = False
    """Let events choose any path on this machine."""

    encoding: Encoding
    """How an event becomes bytes."""

    framing: SinkFraming = NEWLINE_DELIMITED
    """What stands between events."""

    compression: Literal["none", "gzip", "zstd"] = "none"
    """How files are compressed: each batch is a gzip member or zstd frame of its own."""

    idle_timeout_secs: int = Field(default=30, ge=1)
    """Seconds after its last batch at which a file is closed."""

    timezone: TimezoneName | None = None
    """Zone of strftime's letters in `path`: a name of the time zone database, or `local`. Unset:
    UTC."""

    acknowledgements: Acknowledgements = Acknowledgements()
    """Always kept."""

    @field_validator("path")
    @classmethod
    def _is_template(cls, path: str) -> str:
        Template.parse(path)
        return path

    @model_validator(mode="after")
    def _is_confined(self) -> Self:
        template = Template(self.path)
        if self.base_dir is not None and not posixpath.isabs(self.base_dir):
            raise ValueError(f"base_dir must be an absolute path, not {self.base_dir!r}")
        if not template.has_fields or self.dangerously_allow_unconfined_template_resolution:
            return self
        if not template.prefix and self.base_dir is None:
            raise ValueError(
                f"an event could choose any path here: {self.path!r} needs a literal folder in "
                "front, as in '/var/log/tailrace/{{ app }}.log', or base_dir"
            )
        return self

    @property
    def confined_to(self) -> str | None:
        """Folder that rendered paths must be in; None where any will do."""
        template = Template(self.path)
        if not template.has_fields or self.dangerously_allow_unconfined_template_resolution:
            return None
        return self.base_dir or posixpath.dirname(template.prefix)
