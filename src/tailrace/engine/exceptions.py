"""ClickHouse's exceptions: their codes, their text, and the HTTP status that each is answered with."""

import re
from typing import Self

from tailrace.errors import TailraceError

_CODE = re.compile(r"^Code: (\d+)\. DB::(?:\w+::)?Exception: ")
_REPEATED = re.compile(r"^(?:Code: \d+\. DB::Exception: )+(?=Code: \d+\. DB::)")
_NAME = re.compile(r" \(([A-Z][A-Z0-9_]+)\)")
_VERSION = re.compile(r" \(version [^)]*\)\.?")
_OUR_FILE = re.compile(
    r"(: While reading from: [^\n]*?)?: \(in file/uri [^\n]*?\)(?=: While|\. \(|: \(|$)"
    r"|: While executing File(?=[.:]|$)"
)

_STATUS_OF_CODES = {
    400: (
        6, 9, 10, 16, 25, 26, 27, 36, 38, 41, 44, 53, 62, 67, 69, 72, 117,
        167, 168, 287, 321, 376, 427, 441, 675, 676,
    ),
    401: (194,),
    403: (192, 193, 497, 516, 513),
    404: (46, 47, 50, 56, 60, 63, 73, 81, 82, 115, 128, 511),
    408: (159,),
    411: (381,),
    413: (66,),
    415: (767,),
    501: (48,),
    503: (76, 209, 439),
}  # fmt: skip
"""As ClickHouse's exceptionCodeToHTTPStatus has it; every other code is a 500."""

_STATUS_OF_CODE = {code: status for status, codes in _STATUS_OF_CODES.items() for code in codes}


class ClickHouseError(TailraceError):
    """An error with ClickHouse's code and in ClickHouse's words."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message} ({name})")
        self.code = code
        self.name = name

    @classmethod
    def from_engine(cls, text: str) -> Self:
        """The error that the engine described as `text`, without the paths of our own files."""
        text = _VERSION.sub("", _REPEATED.sub("", text))
        found = _CODE.match(text)
        names = _NAME.findall(text)
        message = text[found.end() :] if found else text
        while names and message.endswith(f" ({names[-1]})"):
            message = message[: -len(names[-1]) - 3]
        message = _OUR_FILE.sub("", message)
        code = int(found.group(1)) if found else 1002
        return cls(code, names[-1] if names else "UNKNOWN_EXCEPTION", message)

    def as_text(self, version: str) -> str:
        """The text that a server sends."""
        return f"{self} (version {version} (official build))\n"

    @property
    def http_status(self) -> int:
        """The status that ClickHouse answers this code with."""
        return _STATUS_OF_CODE.get(self.code, 500)
