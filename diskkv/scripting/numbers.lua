-- Numbers as bytes: what struct and cmsgpack share. Byte strings here are big-endian. `host` has what the libraries share.
local host = ...
local byte, char, floor, ceil, huge, frexp, ldexp = string.byte, string.char, math.floor, math.ceil, math.huge, math.frexp, math.ldexp
local numbers = {}

-- An integer in so many bytes, as C casts it: to 64 bits, then to fewer. Made of two halves, because a double holds only 53 bits.
function numbers.pack_integer(value, size)
  value = value < 0 and ceil(value) or floor(value)
  if value ~= value or value >= 18446744073709551616 or value < -9223372036854775808 then value = -9223372036854775808 end
  local negative = value < 0
  if negative then value = -value end
  local low, high = value % 4294967296, floor(value / 4294967296)
  if negative then
    low, high = 4294967296 - low, 4294967295 - high
    if low == 4294967296 then low, high = 0, high + 1 end
    high = high % 4294967296
  end
  local text = char(
    floor(high / 16777216), floor(high / 65536) % 256, floor(high / 256) % 256, high % 256,
    floor(low / 16777216), floor(low / 65536) % 256, floor(low / 256) % 256, low % 256
  )
  if size <= 8 then return text:sub(9 - size) end
  return ("\0"):rep(size - 8) .. text
end

-- The integer that bytes are; of more than eight the last eight count.
function numbers.unpack_integer(text, signed)
  local size = #text
  if size > 8 then text, size = text:sub(-8), 8 end
  local high, low = 0, 0
  for i = 1, size do
    if i > size - 4 then low = low * 256 + byte(text, i) else high = high * 256 + byte(text, i) end
  end
  if signed and size > 0 and byte(text, 1) >= 128 then
    -- Complemented halfwise, so that small negative numbers stay exact.
    local top = size > 4 and 256 ^ (size - 4) or 1
    if size <= 4 then return low - 256 ^ size end
    return -((top - 1 - high) * 4294967296 + (4294967295 - low) + 1)
  end
  return high * 4294967296 + low
end

-- The nearest even integer: what remains of a fraction that has too many bits.
local function even(value)
  local whole = floor(value)
  local rest = value - whole
  if rest > 0.5 or (rest == 0.5 and whole % 2 == 1) then whole = whole + 1 end
  return whole
end

-- Sign, exponent and fraction of a format with so many bits for the exponent and the fraction.
local function parts(value, exponents, fractions)
  local sign = 0
  if value < 0 or (value == 0 and 1 / value < 0) then sign, value = 1, -value end
  local most = 2 ^ exponents - 1
  if value ~= value then return 1, most, 2 ^ (fractions - 1) end
  if value == huge then return sign, most, 0 end
  if value == 0 then return sign, 0, 0 end
  local fraction, exponent = frexp(value)
  exponent = exponent + 2 ^ (exponents - 1) - 2
  if exponent <= 0 then
    fraction, exponent = even(ldexp(fraction, exponent + fractions)), 0
  else
    fraction = even(ldexp(fraction, fractions + 1)) - 2 ^ fractions
  end
  if fraction == 2 ^ fractions then fraction, exponent = 0, exponent + 1 end
  if exponent >= most then return sign, most, 0 end
  return sign, exponent, fraction
end

local function value_of(sign, exponent, fraction, exponents, fractions)
  local most, bias = 2 ^ exponents - 1, 2 ^ (exponents - 1) - 1
  local value
  if exponent == most then
    value = fraction == 0 and huge or huge - huge
  elseif exponent == 0 then
    value = ldexp(fraction, 1 - bias - fractions)
  else
    value = ldexp(fraction + 2 ^ fractions, exponent - bias - fractions)
  end
  return sign == 1 and -value or value
end

function numbers.pack_double(value)
  local sign, exponent, fraction = parts(value, 11, 52)
  local high = sign * 2147483648 + exponent * 1048576 + floor(fraction / 4294967296)
  return numbers.pack_integer(high, 4) .. numbers.pack_integer(fraction % 4294967296, 4)
end
function numbers.unpack_double(text)
  local high, low = numbers.unpack_integer(text:sub(1, 4)), numbers.unpack_integer(text:sub(5, 8))
  return value_of(floor(high / 2147483648), floor(high / 1048576) % 2048, high % 1048576 * 4294967296 + low, 11, 52)
end
function numbers.pack_float(value)
  local sign, exponent, fraction = parts(value, 8, 23)
  return numbers.pack_integer(sign * 2147483648 + exponent * 8388608 + fraction, 4)
end
function numbers.unpack_float(text)
  local word = numbers.unpack_integer(text)
  return value_of(floor(word / 2147483648), floor(word / 8388608) % 256, word % 8388608, 8, 23)
end

host.numbers = numbers
return numbers
