"""Environment variables in a configuration's text, as Vector interpolates them on demand.

`$VAR` and `${VAR}` must exist; `${VAR-default}` and `${VAR:-default}` (also when empty) need not;
`${VAR?message}` and `${VAR:?message}` say why they must; `$$` is a dollar sign. A value with a line
break is refused, because it could add options.
"""

import re
from collections.abc import Callable, Mapping

_VARIABLE = re.compile(r"\$\$|\$([\w.]+)|\$\{([\w.]+)(?:(:?-|:?\?)([^}]*))?\}")


def interpolate(
    text: str, environment: Mapping[str, str], problem: Callable[[int, str], None]
) -> str:
    """The text with its variables replaced; `problem` gets the line and what is wrong."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        try:
            return _value(match, environment)
        except ValueError as error:
            problem(text.count("\n", 0, match.start()) + 1, str(error))
            return ""

    return _VARIABLE.sub(replace, text)


def _value(match: re.Match[str], environment: Mapping[str, str]) -> str:
    name = match[1] or match[2]
    operator, operand = match[3] or "", match[4] or ""
    value = environment.get(name)
    if value is not None and ("\n" in value or "\r" in value):
        raise ValueError(f"cannot use the environment variable {name}: its value has a line break")
    if value is None or (not value and operator.startswith(":")):
        if operator.endswith("-"):
            return operand
        reason = f": {operand}" if operand else "; set it, or write ${" + name + ":-default}"
        raise ValueError(f"cannot find the environment variable {name}{reason}")
    return value
