"""Makes the characters of a log line visible that hide themselves or rule their neighbours.

Control characters, escape sequences, zero-width characters and changes of writing direction could
make a line look like another one. They become signs: control pictures (␛) or code points (⟨U+202E⟩).
"""

import re
from typing import Final

HIDDEN: Final = re.compile(
    "([\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e"
    "\\u2060-\\u2069\\ufeff\\ud800-\\udfff]+)"
)
"""A run of such characters; a tab is none."""


def sign(character: str) -> str:
    """What stands for one hidden character."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"⟨U+{code:04X}⟩"


def visible_text(text: str) -> str:
    """The text with signs in the place of hidden characters."""
    return HIDDEN.sub(lambda found: "".join(map(sign, found.group())), text)
