"""Numbers against what redis-server 7 answered (recorded here), and against Python where the two agree by definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diskkv.lib import numbers

EDGES = {
    b"0": 0,
    b"-1": -1,
    b"9223372036854775807": 2**63 - 1,
    b"-9223372036854775808": -(2**63),
}


@pytest.mark.parametrize(("raw", "number"), EDGES.items())
def test_an_integer_in_its_one_spelling_is_read(raw: bytes, number: int) -> None:
    assert numbers.parse_int(raw) == number


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"-",
        b"-0",
        b"+1",
        b"01",
        b"-01",
        b" 1",
        b"1 ",
        b"1\n",
        b"1_0",
        b"1.0",
        b"0x1",
        b"9223372036854775808",
        b"-9223372036854775809",
        b"1" * 21,
        b"1" * 10000,
        b"\xd9\xa1",
        b"1\x00",
    ],
)
def test_any_other_spelling_of_an_integer_is_refused(raw: bytes) -> None:
    assert numbers.parse_int(raw) is None


@given(st.integers())
def test_an_integer_is_read_when_it_has_64_bits(number: int) -> None:
    assert numbers.parse_int(b"%d" % number) == (number if -(2**63) <= number < 2**63 else None)


@given(st.binary(max_size=6))
def test_an_integer_prints_as_it_was_read(raw: bytes) -> None:
    number = numbers.parse_int(raw)
    assert number is None or b"%d" % number == raw


FLOATS = {
    b"1": 1.0,
    b"+1.5": 1.5,
    b".5": 0.5,
    b"5.": 5.0,
    b"-.5e1": -5.0,
    b"1e5": 1e5,
    b"0e99999999": 0.0,
    b"5e-324": 5e-324,
    b"inf": math.inf,
    b"+INF": math.inf,
    b"-Infinity": -math.inf,
    b"0x1p3": 8.0,
    b"-0X.8": -0.5,
    b"0x1.": 1.0,
    b"0x0p99999999": 0.0,
}


@pytest.mark.parametrize(("raw", "number"), FLOATS.items())
def test_a_float_is_read_as_by_strtod(raw: bytes, number: float) -> None:
    assert numbers.parse_float(raw) == number


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" 1",
        b"1 ",
        b"1\n",
        b"\t1",
        b"1_0",
        b"nan",
        b"-nan",
        b"nan(1)",
        b"infi",
        b".",
        b"1e",
        b"1e+",
        b"--1",
        b"0x",
        b"0x.",
        b"0x1p",
        b"1e400",
        b"-1e400",
        b"1e-400",
        b"0x1p5000",
        b"0x1p-5000",
        b"1\x00",
        b"one",
        b"0b1",
    ],
)
def test_other_floats_are_refused(raw: bytes) -> None:
    assert numbers.parse_float(raw) is None


def test_minus_zero_keeps_its_sign() -> None:
    number = numbers.parse_float(b"-0")
    assert number is not None
    assert numbers.format_double(number) == b"-0"


PRINTED = {
    0.0: b"0",
    3.0: b"3",
    -3.0: b"-3",
    3.2: b"3.2",
    0.1 + 0.2: b"0.30000000000000004",
    math.inf: b"inf",
    -math.inf: b"-inf",
    math.nan: b"nan",
    1e17: b"100000000000000000",
    2.0**62: b"4611686018427387904",
    2.0**63: b"9223372036854776000",
    1e19: b"1e+19",
    1.5e300: b"1.5e+300",
    -1e-5: b"-0.00001",
    1e-6: b"0.000001",
    1e-7: b"1e-7",
    1.5e-7: b"1.5e-7",
    0.00012345678: b"1.2345678e-4",
    0.0012345678: b"0.0012345678",
    1234.56789012: b"1234.56789012",
    12345.123456789: b"1.2345123456789e+4",
    12345.123456: b"12345.123456",
    5e-324: b"5e-324",
}


@pytest.mark.parametrize(("number", "raw"), PRINTED.items())
def test_a_double_prints_as_in_redis_7_2(number: float, raw: bytes) -> None:
    assert numbers.format_double(number) == raw


@given(st.floats(allow_nan=False))
def test_a_printed_double_reads_back(number: float) -> None:
    again = numbers.parse_float(numbers.format_double(number))
    assert again == number
    assert math.copysign(1, again) == math.copysign(1, number)


# value, increment, and what INCRBYFLOAT answered; None is "increment would produce NaN or Infinity"
SUMS = [
    (b"0", b"3.0e3", b"3000"),
    (b"0.1", b"0.2", b"0.3"),
    (b"10.50", b"0.1", b"10.6"),
    (b"5.0e3", b"-200", b"4800"),
    (b"1", b"-1", b"0"),
    (b"-0", b"-0", b"0"),
    (b"-1e-30", b"0", b"0"),
    (b"0x1p3", b"0x.8", b"8.5"),
    (b"9223372036854775807", b"1", b"9223372036854775808"),
    (b"18446744073709551615", b"1", b"18446744073709551616"),
    (b"18446744073709551617", b"0", b"18446744073709551616"),
    (b"5000", b"0.1", b"5000.10000000000000009"),
    (b"1234567.1", b"0.3", b"1234567.39999999999997726"),
    (b"-3.7", b"1.1", b"-2.6"),
    (b"0x1.fp-3", b"1e3", b"1000.2421875"),
    (b"1e4000", b"-1e4000", b"0"),
    (b"inf", b"1", None),
    (b"1", b"-inf", None),
    (b"inf", b"-inf", None),
    (b"1.18e4932", b"1.18e4932", None),
]


@pytest.mark.parametrize(("current", "increment", "total"), SUMS)
def test_long_doubles_add_as_in_redis(current: bytes, increment: bytes, total: bytes | None) -> None:
    assert numbers.add_long_double(current, increment) == total


@pytest.mark.parametrize("raw", [b"1e4933", b"1e-4952", b"1e999999999999", b"1e-999999999999", b"nan", b"", b" 1", b"1" * 5120])
def test_what_is_no_long_double_is_refused(raw: bytes) -> None:
    assert numbers.parse_long_double(raw) is None


def test_an_infinite_long_double_is_a_number_until_it_is_added() -> None:
    infinity = numbers.parse_long_double(b"-inf")
    assert infinity is not None
    assert not numbers.is_finite(infinity)
    assert numbers.is_finite(numbers.ZERO)


@pytest.mark.parametrize("exponent", [3999, 4000, 4210, 4220, 4299, 4300, 4932])
def test_a_long_double_may_have_thousands_of_digits(exponent: int) -> None:
    total = numbers.add_long_double(b"1.5e%d" % exponent if exponent < 4932 else b"1e4932", b"0")
    assert total is not None
    assert len(total) == exponent + 1
    assert numbers.parse_long_double(total) == numbers.parse_long_double(b"1.5e%d" % exponent if exponent < 4932 else b"1e4932")


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62))
def test_whole_numbers_add_exactly(left: int, right: int) -> None:
    assert numbers.add_long_double(b"%d" % left, b"%d" % right) == b"%d" % (left + right)
