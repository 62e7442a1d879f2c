"""ClickHouse's exceptions: their codes, their text, and the HTTP status that each is answered with."""

import re
from typing import Self

from tailrace.errors import TailraceError

_CODE = re.compile(r"^Code: (\d+)\. DB::(?:\w+::)?Exception: ")
_NESTED = re.compile(r"^Code: (\d+)\. DB::Exception: (?=Code: \1\. DB::)")
_VERSION = re.compile(r" \(version [^)]*\)\.?")

_STATUS_OF_CODE = {
    516: 403, 192: 403, 193: 403, 194: 401, 497: 403, 291: 403, 452: 403,
    164: 403,
    372: 404,
    6: 400, 26: 400, 27: 400, 38: 400, 41: 400, 43: 400, 46: 404, 47: 404, 53: 400, 60: 404,
    62: 400, 69: 400, 70: 400, 72: 400, 73: 404, 81: 404, 115: 404, 16: 404, 457: 400,
    48: 501, 159: 408, 307: 413, 158: 413, 202: 503, 216: 500,
}  # fmt: skip


class ClickHouseError(TailraceError):
    """An error with ClickHouse's code and in ClickHouse's words."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message} ({name})")
        self.code = code

    @classmethod
    def from_engine(cls, text: str) -> Self:
        """The error that the engine described as `text`."""
        text = _NESTED.sub("", text)
        text = _VERSION.sub("", text)
        found = _CODE.match(text)
        error = cls.__new__(cls)
        TailraceError.__init__(error, text)
        error.code = int(found.group(1)) if found else 1002
        return error

    def as_text(self, version: str) -> str:
        """The text that a server sends."""
        return f"{self} (version {version} (official build))\n"

    @property
    def http_status(self) -> int:
        """The status that ClickHouse answers this code with."""
        return _STATUS_OF_CODE.get(self.code, 500)
