"""Numbers as Redis reads and prints them: 64-bit integers, doubles, and the long doubles of INCRBYFLOAT.

A parser returns None for what Redis refuses; it never raises. Doubles print as in Redis 7.2 (shortest digits that read back
the same), long doubles as in every Redis on x86: 64 bits of mantissa, 17 decimals, trailing zeros dropped.
"""

from __future__ import annotations

import re
import struct
from decimal import ROUND_HALF_EVEN, Context, Decimal

INT_MIN = -(2**63)
INT_MAX = 2**63 - 1

_HEX_FLOAT = re.compile(rb"([+-]?)0[xX](?=\.?[0-9a-fA-F])([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?")
_DECIMAL = re.compile(rb"([+-]?)(?=\.?[0-9])([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_INFINITY = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)
_NON_ZERO = re.compile(rb"[1-9]")


# Indexes, counts and the like: to look them up takes a quarter of the time of reading them.
_SMALL = {b"%d" % number: number for number in range(-128, 1024)}


def parse_int(raw: bytes) -> int | None:
    """The 64-bit integer that `raw` is, in its one accepted spelling: no plus, no spaces, no leading zeros, no `-0`."""
    small = _SMALL.get(raw)
    if small is not None:
        return small
    if raw.isdigit() and raw[0] != 0x30 and len(raw) < 19:
        return int(raw)
    if len(raw) > 20:  # int() of a long text is quadratic, and no 64-bit integer is longer
        return None
    try:
        number = int(raw)
    except ValueError:
        return None
    if b"%d" % number == raw and INT_MIN <= number <= INT_MAX:
        return number
    return None


def parse_float(raw: bytes) -> float | None:
    """The double that C's `strtod` makes of all of `raw`; None for nan, spaces around, and what over- or underflows.

    Hexadecimal floats and `inf` in any spelling are numbers. A number too great for a double, or one so small that it would
    become zero, is refused, as by Redis; a subnormal one is taken.
    """
    # The commonest, and none of what is looked for below: fewer digits than the greatest double has.
    if raw.isdigit() and len(raw) < 300:
        return float(raw)
    try:
        number = float(raw)
    except ValueError:
        return _parse_hex(raw)
    if raw[0] <= 32 or raw[-1] <= 32 or b"_" in raw or number != number:
        return None
    if number - number != 0 and not _INFINITY.fullmatch(raw):
        return None
    if number == 0 and _NON_ZERO.search(raw.lower().partition(b"e")[0]):
        return None
    return number


def _parse_hex(raw: bytes) -> float | None:
    match = _HEX_FLOAT.fullmatch(raw)
    if match is None:
        return None
    try:
        number = float.fromhex(raw.decode("ascii"))
    except OverflowError:
        return None
    if number == 0 and (match[2] + (match[3] or b"")).strip(b"0"):
        return None
    return number


def format_double(number: float) -> bytes:
    """A score or another double, as Redis 7.2 prints it in replies.

    Whole numbers up to 2^62 have all their digits. Others have the shortest digits that read back the same, plainly if there
    are few zeros to add (`0.00012`, `1234.56789012`), else with an unpadded exponent (`1e+19`, `1.2345678e-7`).
    """
    if -4611686018427387904.0 <= number <= 4611686018427387904.0:
        whole = int(number)
        if whole == number:
            return b"%d" % whole if whole else _format_zero(number)
    elif number - number != 0:
        return b"nan" if number != number else b"inf" if number > 0 else b"-inf"
    text = repr(number)
    if "e" not in text:
        point = text.index(".")
        # Six decimals or fewer, or a magnitude within 10^±3, are always plain; this is nearly everything.
        if len(text) - point <= 7 and not text.endswith(".0"):
            return text.encode()
    return _format_digits(text)


def format_shortest(number: float) -> bytes:
    """As `format_double`, but large whole numbers have exponents, too: how Redis writes the scores that it digests."""
    if number == 0 or number - number != 0:
        return format_double(number)
    return _format_digits(repr(number))


def _format_zero(number: float) -> bytes:
    return b"-0" if repr(number)[0] == "-" else b"0"


def _format_digits(text: str) -> bytes:
    """Lays out the digits of a `repr`: the rule when to use an exponent is not Python's."""
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, decimals = mantissa.partition(".")
    digits = (whole + decimals).lstrip("0")
    scale = int(exponent or 0) - len(decimals)
    stripped = digits.rstrip("0")
    scale += len(digits) - len(stripped)
    digits = stripped
    count = len(digits)
    magnitude = scale + count - 1
    if 0 <= scale < 8:
        body = digits + "0" * scale
    elif scale < 0 and (scale > -7 or abs(magnitude) < 4):
        body = f"{digits[:scale]}.{digits[scale:]}" if count + scale > 0 else "0." + "0" * -(count + scale) + digits
    else:
        body = digits[0] + ("." + digits[1:] if count > 1 else "") + f"e{magnitude:+d}"
    return (sign + body).encode()


# A long double is `(mantissa, exponent)`, worth mantissa * 2**exponent, the mantissa signed and of 64 bits at most: the x87
# format that Redis computes INCRBYFLOAT in. An infinity has the exponent `_BEYOND`.
LongDouble = tuple[int, int]

_BITS = 64
_LOWEST = -16445  # the exponent of the smallest subnormal
_HIGHEST = 16384  # values reach up to, but not, 2**_HIGHEST
_BEYOND = 1 << 20
_LONGEST = 5119  # Redis does not look at longer texts
_DECIMALS = 17
_SCALE = 10**_DECIMALS
# An element that counts as a double, if it prints as it stands.
_POINTED = re.compile(rb"-?[0-9]+\.[0-9]+")
_SEVENTEEN = Context(prec=_DECIMALS, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)
ZERO: LongDouble = (0, 0)


def parse_long_double(raw: bytes) -> LongDouble | None:
    """The long double nearest to what `raw` says, by the grammar of `parse_float`; it may be infinite if `raw` says so."""
    if len(raw) > _LONGEST:
        return None
    match = _DECIMAL.fullmatch(raw)
    if match is None:
        return _parse_long_hex(raw)
    sign, whole, decimals, exponent = match.groups(b"")
    digits = (whole + decimals).lstrip(b"0")
    if not digits:
        return ZERO
    # A number far outside the range is refused by its length alone: 1e999999999 must not be computed.
    scale = _bounded(exponent) - len(decimals)
    if not -5100 < len(digits) + scale < 5100:
        return None
    mantissa = 0
    for start in range(0, len(digits), 4000):  # int() has a limit of its own on the digits it takes
        piece = digits[start : start + 4000]
        mantissa = mantissa * 10 ** len(piece) + int(piece)
    value = _nearest(mantissa * 10**scale, 1) if scale >= 0 else _nearest(mantissa, 10**-scale)
    return _signed(value, sign)


def _parse_long_hex(raw: bytes) -> LongDouble | None:
    match = _HEX_FLOAT.fullmatch(raw)
    if match is None:
        infinite = _INFINITY.fullmatch(raw)
        return infinite and (-1 if infinite[1] == b"-" else 1, _BEYOND)
    sign, whole, decimals, exponent = match.groups(b"")
    mantissa = int(whole + decimals, 16)
    if not mantissa:
        return ZERO
    scale = _bounded(exponent) - 4 * len(decimals)
    if not -17000 < mantissa.bit_length() + scale < 17000:
        return None
    return _signed(_nearest(mantissa << max(scale, 0), 1 << max(-scale, 0)), sign)


def _bounded(exponent: bytes) -> int:
    """The exponent; one of very many digits becomes one that is just as far beyond any number."""
    digits = exponent.lstrip(b"+-").lstrip(b"0")
    number = 10**9 if len(digits) > 9 else int(digits or b"0")
    return -number if exponent[:1] == b"-" else number


def _signed(value: LongDouble, sign: bytes) -> LongDouble | None:
    """None for what overflowed, or became zero though it isn't."""
    mantissa, exponent = value
    if not mantissa or exponent == _BEYOND:
        return None
    return (-mantissa if sign == b"-" else mantissa), exponent


def _nearest(numerator: int, denominator: int) -> LongDouble:
    """The long double nearest to a positive ratio; of two as near, the even one."""
    exponent = max(numerator.bit_length() - denominator.bit_length() - _BITS, _LOWEST)
    while True:
        if exponent < 0:
            quotient, rest = divmod(numerator << -exponent, denominator)
            divisor = denominator
        else:
            divisor = denominator << exponent
            quotient, rest = divmod(numerator, divisor)
        if quotient.bit_length() <= _BITS:
            break
        exponent += 1
    if 2 * rest > divisor or (2 * rest == divisor and quotient & 1):
        quotient += 1
    if quotient.bit_length() + exponent > _HIGHEST:
        return 1, _BEYOND
    return quotient, exponent


def is_finite(number: LongDouble) -> bool:
    """Whether the number is not an infinity."""
    return number[1] != _BEYOND


def add_long_doubles(left: LongDouble, right: LongDouble) -> LongDouble | None:
    """Their sum, rounded as the x87 does; None if it is infinite or not a number."""
    if not (is_finite(left) and is_finite(right)):
        return None
    exponent = min(left[1], right[1])
    mantissa = (left[0] << (left[1] - exponent)) + (right[0] << (right[1] - exponent))
    if mantissa.bit_length() <= _BITS:  # exact: as long as both lie above the smallest exponent, so does the sum
        return (mantissa, exponent) if mantissa.bit_length() + exponent <= _HIGHEST else None
    size = abs(mantissa)
    total = _nearest(size << max(exponent, 0), 1 << max(-exponent, 0))
    if not is_finite(total):
        return None
    return (-total[0] if mantissa < 0 else total[0]), total[1]


def format_long_double(number: LongDouble) -> bytes:
    """A finite long double as INCRBYFLOAT prints it: at most 17 decimals, no exponent, no trailing zeros, never `-0`."""
    mantissa, exponent = number
    size = abs(mantissa)
    if exponent >= 0:
        text = _digits(size << exponent)
        return b"-" + text if mantissa < 0 else text
    scaled = size * _SCALE
    quotient, rest = scaled >> -exponent, scaled & ((1 << -exponent) - 1)
    half = 1 << (-exponent - 1)
    if rest > half or (rest == half and quotient & 1):
        quotient += 1
    whole, decimals = divmod(quotient, _SCALE)
    text = _digits(whole)
    if decimals:
        text += (b".%017d" % decimals).rstrip(b"0")
    return b"-" + text if mantissa < 0 and quotient else text


def format_general(number: LongDouble) -> bytes:
    """A long double as C's `%.17Lg` prints it: 17 digits at most, an exponent where there would be more than that or many zeros."""
    mantissa, exponent = number
    if not is_finite(number):
        return b"-inf" if mantissa < 0 else b"inf"
    quotient = _SEVENTEEN.divide(Decimal(mantissa << max(exponent, 0)), Decimal(1 << max(-exponent, 0)))
    if not quotient:
        return b"0"
    magnitude = quotient.adjusted()
    digits = "".join(map(str, quotient.as_tuple().digits)).rstrip("0")
    sign = "-" if mantissa < 0 else ""
    if not -4 <= magnitude < _DECIMALS:
        decimals = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{decimals}e{magnitude:+03d}".encode()
    if magnitude < 0:
        return f"{sign}0.{'0' * (-magnitude - 1)}{digits}".encode()
    whole, decimals = digits[: magnitude + 1].ljust(magnitude + 1, "0"), digits[magnitude + 1 :]
    return f"{sign}{whole}{'.' if decimals else ''}{decimals}".encode()


def long_double_of(number: float) -> LongDouble:
    """A finite double as a long double."""
    mantissa, denominator = number.as_integer_ratio()
    return mantissa, 1 - denominator.bit_length()


def is_less(left: LongDouble, right: LongDouble) -> bool:
    """Whether one long double is less than another."""
    exponent = min(left[1], right[1])
    return left[0] << (left[1] - exponent) < right[0] << (right[1] - exponent)


def truncated(number: LongDouble) -> int | None:
    """The integer part of a long double, None when it lies outside of 64 bits."""
    mantissa, exponent = number
    if is_less(number, (INT_MIN, 0)) or is_less((INT_MAX, 0), number):
        return None
    size = abs(mantissa) << exponent if exponent >= 0 else abs(mantissa) >> -exponent
    return -size if mantissa < 0 else size


def number_of(data: bytes) -> LongDouble | None:
    """The number that an array's element is, None for none. As in Redis some are doubles, where others are long doubles."""
    whole = parse_int(data)
    if whole is not None:
        return whole, 0
    if _POINTED.fullmatch(data) and len(data) < 32:
        double = float(data)
        text = format_double(double)
        # Redis has no room for a double's last two bits.
        if data in (text, text + b".0") and not struct.pack("<d", double)[0] & 3:
            return long_double_of(double)
    return parse_long_double(data)


def _digits(number: int) -> bytes:
    """All digits of a positive number, also of one longer than Python likes to print."""
    if number.bit_length() < 14000:
        return b"%d" % number
    high, low = divmod(number, 10**4000)
    return b"%d%04000d" % (high, low)


def add_long_double(current: bytes, increment: bytes) -> bytes | None:
    """Their sum as INCRBYFLOAT stores it; None if it would be infinite. Both must be numbers by `parse_long_double`."""
    left, right = parse_long_double(current), parse_long_double(increment)
    if left is None or right is None:
        raise ValueError("not a long double")
    total = add_long_doubles(left, right)
    return None if total is None else format_long_double(total)
