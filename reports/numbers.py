"""Numbers as people read them: one rule for every outlet, so that no two outlets print a value differently."""

from decimal import ROUND_HALF_EVEN, Decimal

__all__ = ["format_number", "format_significant", "format_volume_cc"]


def format_number(value: float, decimals: int) -> str:
    """`value` with so many decimals, rounded half to even on its shortest decimal form; never "-0".

    Examples
    --------
    >>> format_number(2.675, 2), format_number(-0.04, 1), format_number(1234.5, 0)
    ('2.68', '0.0', '1234')
    """
    rounded = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return f"{rounded if rounded else abs(rounded):f}"


def format_volume_cc(volume_cc: float) -> str:
    """A volume with a precision that suits its size: 0.123, 4.56, 78.9 and 1234 cm3."""
    decimals = 3 if volume_cc < 1 else 2 if volume_cc < 10 else 1 if volume_cc < 1000 else 0
    return format_number(volume_cc, decimals)


def format_significant(value: float, digits: int) -> str:
    """`value` with so many significant digits, without an exponent; whole numbers are never shortened.

    Examples
    --------
    >>> format_significant(0.0123456, 3), format_significant(-31.415, 3), format_significant(12345.6, 3)
    ('0.0123', '-31.4', '12346')
    """
    number = Decimal(repr(float(value)))
    if number == number.to_integral_value():
        return format_number(value, 0)
    return format_number(value, max(digits - 1 - number.adjusted(), 0))
