"""Transform `remap`: runs a VRL program on each event.

As in Vector, an event whose program fails goes on as it was unless `drop_on_error` is set, one whose
program aborts is dropped unless `drop_on_abort` is false, and with `reroute_dropped` what is dropped
goes to `<id>.dropped` with the reason under `.metadata.dropped`. Unlike Vector, nothing that failed
vanishes: where nobody takes `<id>.dropped`, or it is off, a failed event is rejected with the
reason.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import model_validator
from typing_extensions import override

from tailrace.collect.timezones import TimezoneName
from tailrace.collect.transform import (
    Event,
    Outputs,
    Transform,
    TransformConfig,
    TransformContext,
    VrlStep,
    as_json,
)
from tailrace.collect.vrl import Failure, Program, check


class RemapConfig(TransformConfig):
    """Options of `remap`."""

    not_taken: ClassVar[Mapping[str, str]] = {
        **TransformConfig.not_taken,
        "metric_tag_values": "Tailrace has no metric events",
        "runtime": "there is one",
    }

    source: str | None = None
    """The VRL program. Unset where `file` or `files` is given."""

    file: Path | None = None
    """File with the VRL program; relative to the working directory, as in Vector.
    Unset where `source` or `files` is given."""

    files: tuple[Path, ...] | None = None
    """Files that make up the VRL program, one after the other. Unset where `source` or `file` is
    given."""

    drop_on_error: bool = False
    """Drop an event whose program fails, rather than let it go on as it was."""

    drop_on_abort: bool = True
    """Drop an event whose program aborts, rather than let it go on as it was."""

    reroute_dropped: bool = False
    """Send what is dropped to the output `dropped`."""

    timezone: TimezoneName | None = None
    """Zone of timestamps that name none; unset: the file's own `timezone`."""

    @model_validator(mode="after")
    def _one_program(self) -> Self:
        given = [name for name in ("source", "file", "files") if getattr(self, name) is not None]
        if len(given) != 1:
            what = " and ".join(f'"{name}"' for name in given) or "none"
            raise ValueError(f'give exactly one of "source", "file" and "files", not {what}')
        return self

    @override
    def named_outputs(self) -> frozenset[str]:
        return frozenset({"dropped"}) if self.reroute_dropped else frozenset()

    @override
    def problems(self, timezone: str) -> list[tuple[str, str]]:
        option = next(n for n in ("source", "file", "files") if getattr(self, n) is not None)
        try:
            source = self.program()
        except (OSError, UnicodeDecodeError) as error:
            return [(option, f"cannot read the program: {error}")]
        diagnostics = check(source, timezone=self.timezone or timezone)
        return [(option, diagnostics)] if diagnostics else []

    def program(self) -> str:
        """The program's text; raises OSError where a file cannot be read."""
        if self.source is not None:
            return self.source
        if self.file is not None:
            return self.file.read_text("utf-8")
        return "".join(path.read_text("utf-8") + "\n" for path in self.files or ())

    @override
    def vrl_step(self, context: TransformContext) -> VrlStep:
        return VrlStep(self.program(), self.timezone or context.timezone)

    @override
    def build(self, context: TransformContext) -> Transform:
        return Remap(self, context)


class Remap(Transform):
    """A running `remap`."""

    def __init__(self, config: RemapConfig, context: TransformContext) -> None:
        self._config = config
        self._component_id = context.component_id
        self._reroute = config.reroute_dropped and "dropped" in context.consumed_outputs
        self._program = Program(
            config.program(),
            timezone=config.timezone or context.timezone,
            typed=context.typed_output,
        )

    @override
    def run(self, events: list[Event]) -> Outputs:
        outputs = Outputs()
        for event, result in zip(events, self._program.run(events), strict=True):
            if type(result) is dict:
                outputs.default.append(result)
            elif isinstance(result, Failure):
                self._failed(event, result, outputs)
            elif isinstance(result, list):
                outputs.default.extend(_as_event(item) for item in result)
                if not result:
                    outputs.discarded["the program ended with an empty array"] += 1
            else:
                outputs.default.append(_as_event(result))
        return outputs

    def _failed(self, event: Event, failure: Failure, outputs: Outputs) -> None:
        outputs.errors += not failure.aborted
        config = self._config
        if not (config.drop_on_abort if failure.aborted else config.drop_on_error):
            outputs.default.append(event)
        elif self._reroute:
            outputs.named.setdefault("dropped", []).append(self._annotated(event, failure))
        elif failure.aborted:
            outputs.discarded["aborted"] += 1
        else:
            outputs.rejected.append((as_json(event), f"{self._component_id}: {failure.message}"))

    def _annotated(self, event: Event, failure: Failure) -> Event:
        dropped = {
            "reason": "abort" if failure.aborted else "error",
            "message": failure.message,
            "component_id": self._component_id,
            "component_type": "remap",
            "component_kind": "transform",
        }
        metadata = event.get("metadata")
        kept = metadata if isinstance(metadata, dict) else {}
        return {**event, "metadata": {**kept, "dropped": dropped}}


def _as_event(value: Any) -> Event:
    """An event whatever the program made of `.`: what is not an object becomes the message."""
    return value if isinstance(value, dict) else {"message": value}
