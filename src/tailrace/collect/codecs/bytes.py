"""Codec `bytes`: the whole frame becomes `.message`; it cannot fail.

Invalid UTF-8 becomes U+FFFD here already; Vector does the same when it encodes the event as JSON.
"""

from tailrace.collect.transform import Event


def decode_bytes(line: bytes) -> list[Event]:
    """One event whose `.message` is the frame."""
    return [{"message": line.decode("utf-8", "replace")}]
