"""Numbers as people read them, with their unit. `static/units.js` writes the same.

    1204 → 1,204    0.53217 → 0.532    1530 ms → 1.53 s    1_500_000 bytes → 1.43 MiB

Seconds and bytes are scaled, other units only stand beside their number; per cent that are nearly a
hundred have as many digits as it takes to see that. What is no number (none counted, 0/0) is a dash.
"""

import math
from decimal import Decimal
from typing import Final

NOTHING: Final = "–"
_BYTES: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_SHORT: Final = ((10**12, "T"), (10**9, "G"), (10**6, "M"))

Number = int | float | Decimal


def number_of(value: object) -> int | float | None:
    """A number that can be drawn, or None for anything else: NULL, NaN, text."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, int):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def format_number(value: Number | None, unit: str = "", *, short: bool = False) -> str:
    """The number with its unit; `short` writes a million as 1 M."""
    number = number_of(value)
    if number is None:
        return NOTHING
    match unit:
        case "ms":
            return _duration(number / 1000)
        case "s":
            return _duration(number)
        case "bytes":
            return _bytes(number)
        case "%" if 99 < number < 100:
            return f"{_nearly_all(number)} %"
        case _:
            text = _short(number) if short else plain(number)
            return f"{text} {unit}" if unit else text


def plain(number: float) -> str:
    """Whole numbers whole, others to three digits that count."""
    if isinstance(number, int) or number == int(number):
        return f"{int(number):,}"
    size = abs(number)
    if size >= 100:
        return f"{number:,.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 2 - math.floor(math.log10(size))
    return f"{number:.{min(digits, 12)}f}".rstrip("0").rstrip(".")


def _nearly_all(percent: float) -> str:
    """99.96 is not written as 100: what is missing is what somebody looks for."""
    digits = min(-math.floor(math.log10(100 - percent)), 12)
    return f"{percent:.{digits}f}".rstrip("0").rstrip(".")


def _short(number: float) -> str:
    for size, letter in _SHORT:
        if abs(number) >= size:
            return f"{plain(number / size)} {letter}"
    return plain(number)


def _duration(seconds: float) -> str:
    size = abs(seconds)
    if size == 0 or 0.001 <= size < 1:
        return f"{plain(seconds * 1000)} ms"
    if size < 0.001:
        return f"{plain(seconds * 1e6)} µs"
    if size < 120:
        return f"{plain(seconds)} s"
    if size < 7200:
        return f"{plain(seconds / 60)} min"
    return f"{plain(seconds / 3600)} h"


def _bytes(number: float) -> str:
    power = 0
    while abs(number) >= 1024 and power < len(_BYTES) - 1:
        number /= 1024
        power += 1
    return f"{plain(number)} {_BYTES[power]}"
