"""What `route` and `exclusive_route` share."""

from tailrace.collect.transform import Event, Outputs, TransformContext

UNMATCHED = "_unmatched"
"""Output of the events that no route wants."""


def send(event: Event, output: str, outputs: Outputs, context: TransformContext) -> None:
    """Put an event on a named output; where nobody takes that, it is counted as discarded."""
    if output in context.consumed_outputs:
        outputs.named.setdefault(output, []).append(event)
    else:
        outputs.discarded[f"nobody takes {context.component_id}.{output}"] += 1
