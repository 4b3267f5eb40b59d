"""Which regular expressions a rule may hold: short ones that cannot run away.

Python's engine backtracks, so a nested repetition can take longer than a day on a text of 60 characters. The texts
that rules look at are bounded (`values.LONGEST_TEXT`); here the patterns are.
"""

import re

__all__ = ["compile_pattern"]

LONGEST_PATTERN = 200
DEEPEST_NESTING = 5
MOST_REPETITIONS = 3
"""Unbounded repetitions in one pattern: time grows with the text length to this power."""
MOST_OPTIONALS = 12


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A compiled pattern, after checking that it cannot run away.

    Raises
    ------
    ValueError
        Too long, too deeply nested, a repeated group that itself repeats or chooses, a back-reference, or no regular
        expression at all; the message says which.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the pattern has {len(pattern)} characters, at most {LONGEST_PATTERN} are allowed")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"no regular expression: {error}") from error
    _refuse_runaway(pattern)
    return compiled


def _refuse_runaway(pattern: str) -> None:
    """Walk the pattern once; `inner` holds, per open group, whether it repeats or chooses inside.

    Raises
    ------
    ValueError
        The pattern could run away.
    """
    inner = [False]
    repetitions = optionals = position = 0
    closed_risky = False
    while position < len(pattern):
        character = pattern[position]
        risky_before = closed_risky
        closed_risky = False
        if character == "\\":
            if pattern[position + 1 : position + 2].isdigit() and pattern[position + 1] != "0":
                raise ValueError("back-references are not allowed")
            position += 2
            continue
        if character == "[":
            position = _end_of_class(pattern, position)
            continue
        if character == "(":
            if pattern.startswith(("(?P=", "(?("), position):
                raise ValueError("back-references are not allowed")
            if re.match(r"\(\?(#|[a-z]*x)", pattern[position:]):
                raise ValueError("comments and the verbose flag are not allowed")
            inner.append(False)
            if len(inner) - 1 > DEEPEST_NESTING:
                raise ValueError(f"groups are nested deeper than {DEEPEST_NESTING}")
            position += 2 if pattern.startswith("(?", position) else 1
            continue
        if character == ")":
            closed_risky = inner.pop()
            inner[-1] = inner[-1] or closed_risky
        elif character == "|":
            inner[-1] = True
        elif character == "?":
            optionals += 1
            inner[-1] = True
        elif character in "*+" or (character == "{" and re.match(r"\{\d*,?\d*\}", pattern[position:])):
            if risky_before:
                raise ValueError("a repeated group may not repeat or choose inside: it could run away")
            repetitions += 1
            inner[-1] = True
            if character == "{":
                position = pattern.index("}", position)
        position += 1
    if repetitions > MOST_REPETITIONS:
        raise ValueError(f"{repetitions} repetitions, at most {MOST_REPETITIONS} are allowed")
    if optionals > MOST_OPTIONALS:
        raise ValueError(f"{optionals} optional parts, at most {MOST_OPTIONALS} are allowed")


def _end_of_class(pattern: str, start: int) -> int:
    """Position after the character class that opens at `start`."""
    position = start + 1
    if pattern.startswith("^", position):
        position += 1
    if pattern.startswith("]", position):
        position += 1
    while pattern[position] != "]":
        position += 2 if pattern[position] == "\\" else 1
    return position + 1
