-- bit: Lua BitOp's functions on 32 bits, results signed. `host` has what the libraries share.
local host = ...
local argument, kind_of = host.argument, host.kind_of
local select, tonumber, type, floor, format, sub = select, tonumber, type, math.floor, string.format, string.sub

-- Eight bits at a time, from tables.
local AND, OR, XOR = {}, {}, {}
for a = 0, 15 do
  for b = 0, 15 do
    local both, any, one, place, p, q = 0, 0, 0, 1, a, b
    for _ = 1, 4 do
      local x, y = p % 2, q % 2
      if x + y == 2 then both = both + place end
      if x + y > 0 then any = any + place end
      if x ~= y then one = one + place end
      p, q, place = (p - x) / 2, (q - y) / 2, place * 2
    end
    AND[a * 16 + b], OR[a * 16 + b], XOR[a * 16 + b] = both, any, one
  end
end

local function word(value, number, name, count)
  local found = type(value) == "number" and value or type(value) == "string" and tonumber(value)
  if not found then argument(number, name, "number expected, got " .. kind_of(count, number, value)) end
  -- Rounds half to even, as adding 2^52 + 2^51 does in C.
  found = found + 6755399441055744 - 6755399441055744
  found = found % 4294967296
  return found == found and found or 0
end
local function signed(value) return value >= 2147483648 and value - 4294967296 or value end

local function folded(truth, name)
  return function(...)
    local count = select("#", ...)
    local result = word((...), 1, name, count)
    for i = 2, count do
      local other = word((select(i, ...)), i, name, count)
      local made, place = 0, 1
      for _ = 1, 8 do
        local p, q = result % 16, other % 16
        made = made + truth[p * 16 + q] * place
        result, other, place = (result - p) / 16, (other - q) / 16, place * 16
      end
      result = made
    end
    return signed(result)
  end
end

local bit = {band = folded(AND, "band"), bor = folded(OR, "bor"), bxor = folded(XOR, "bxor")}
function bit.tobit(...) return signed(word((...), 1, "tobit", select("#", ...))) end
function bit.bnot(...) return signed(4294967295 - word((...), 1, "bnot", select("#", ...))) end

local function shifted(name, f)
  bit[name] = function(...)
    local count = select("#", ...)
    local value, by = ...
    return signed(f(word(value, 1, name, count), word(by, 2, name, count) % 32))
  end
end
shifted("lshift", function(value, by) return value * 2 ^ by % 4294967296 end)
shifted("rshift", function(value, by) return floor(value / 2 ^ by) end)
shifted("arshift", function(value, by) return floor(signed(value) / 2 ^ by) % 4294967296 end)
local function rotated(value, by) return value * 2 ^ by % 4294967296 + floor(value / 2 ^ (32 - by)) end
shifted("rol", rotated)
shifted("ror", function(value, by) return rotated(value, (32 - by) % 32) end)

function bit.bswap(...)
  local value = word((...), 1, "bswap", select("#", ...))
  local a, b, c, d = value % 256, floor(value / 256) % 256, floor(value / 65536) % 256, floor(value / 16777216)
  return signed(a * 16777216 + b * 65536 + c * 256 + d)
end

function bit.tohex(...)
  local count = select("#", ...)
  local value, digits = ...
  value = word(value, 1, "tohex", count)
  digits = digits == nil and 8 or signed(word(digits, 2, "tohex", count))
  local text = format(digits < 0 and "%08X" or "%08x", value)
  digits = digits < 0 and -digits or digits
  return digits >= 8 and text or digits == 0 and "" or sub(text, -digits)
end

return bit
