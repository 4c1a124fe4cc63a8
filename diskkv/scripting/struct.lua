-- struct, as it is in Redis. `host` has what the libraries share.
local host = ...
local raise, argument, kind_of, numbers = host.raise, host.argument, host.kind_of, host.numbers
local select, type, tonumber, tostring, unpack = select, type, tonumber, tostring, unpack
local sub, find, byte, rep, reverse, concat, floor = string.sub, string.find, string.byte, string.rep, string.reverse, table.concat, math.floor

local struct = {}
local MOST = 32
local SIZES = {B = 1, b = 1, H = 2, h = 2, L = 8, l = 8, T = 8, f = 4, d = 8, x = 1}
local INTEGER = {B = true, b = true, H = true, h = true, L = true, l = true, T = true, i = true, I = true}

-- A format being read: `letter` is the option, `size` its size; `big` and `align` are what it has set.
local function digits(state, otherwise)
  local _, stop, text = find(state.format, "^(%d+)", state.at)
  if not stop then return otherwise end
  state.at = stop + 1
  local number = tonumber(text)
  if number > 2147483647 then raise("integral size overflow") end
  return number
end

local function option(state)
  local letter = sub(state.format, state.at, state.at)
  state.at = state.at + 1
  local size = SIZES[letter] or 0
  if letter == "c" then
    size = digits(state, 1)
  elseif letter == "i" or letter == "I" then
    size = digits(state, 4)
    if size > MOST then raise("integral size " .. size .. " is larger than limit of " .. MOST) end
  end
  return letter, size
end

-- Bytes to leave out so that an option of a size stands where it should.
local function padding(state, position, letter, size)
  if size == 0 or letter == "c" then return 0 end
  if size > state.align then size = state.align end
  -- C computes this by masks, for sizes that are no powers of two as well.
  local mask, both, place, rest = size - 1, 0, 1, position
  while mask > 0 do
    if mask % 2 == 1 and rest % 2 == 1 then both = both + place end
    mask, rest, place = floor(mask / 2), floor(rest / 2), place * 2
  end
  local gap, result = size - both, 0
  mask, place = size - 1, 1
  while mask > 0 do
    if mask % 2 == 1 and gap % 2 == 1 then result = result + place end
    mask, gap, place = floor(mask / 2), floor(gap / 2), place * 2
  end
  return result
end

local function control(state, letter, name)
  if letter == " " then
    return
  elseif letter == ">" then
    state.big = true
  elseif letter == "<" then
    state.big = false
  elseif letter == "!" then
    local align = digits(state, 8)
    local power = 1
    while power < align do power = power * 2 end
    if power ~= align then raise("alignment " .. align .. " is not a power of 2") end
    state.align = align
  else
    argument(1, name, "invalid format option '" .. letter .. "'")
  end
end

local function start(format, name, count)
  if type(format) == "number" then format = tostring(format) end
  if type(format) ~= "string" then argument(1, name, "string expected, got " .. kind_of(count, 1, format)) end
  local stop = find(format, "%z")
  return {format = stop and sub(format, 1, stop - 1) or format, at = 1, big = false, align = 1}
end

local function ordered(state, text) return state.big and text or reverse(text) end

function struct.pack(...)
  local count = select("#", ...)
  local given = {...}
  local state = start(given[1], "pack", count)
  local made, total, next_one = {}, 0, 2
  local function number()
    local value = given[next_one]
    local found = (type(value) == "number" or type(value) == "string") and tonumber(value)
    if not found then argument(next_one, "pack", "number expected, got " .. kind_of(count, next_one, value)) end
    next_one = next_one + 1
    return found
  end
  while state.at <= #state.format do
    local letter, size = option(state)
    local gap = padding(state, total, letter, size)
    total = total + gap
    if gap > 0 then made[#made + 1] = rep("\0", gap) end
    if INTEGER[letter] then
      made[#made + 1] = ordered(state, numbers.pack_integer(number(), size))
    elseif letter == "x" then
      made[#made + 1] = "\0"
    elseif letter == "f" then
      made[#made + 1] = ordered(state, numbers.pack_float(number()))
    elseif letter == "d" then
      made[#made + 1] = ordered(state, numbers.pack_double(number()))
    elseif letter == "c" or letter == "s" then
      local text = given[next_one]
      if type(text) == "number" then text = tostring(text) end
      if type(text) ~= "string" then argument(next_one, "pack", "string expected, got " .. kind_of(count, next_one, text)) end
      next_one = next_one + 1
      if size == 0 then size = #text end
      if #text < size then argument(next_one, "pack", "string too short") end
      made[#made + 1] = sub(text, 1, size)
      if letter == "s" then
        made[#made + 1] = "\0"
        size = size + 1
      end
    else
      control(state, letter, "pack")
    end
    total = total + size
  end
  return concat(made)
end

function struct.unpack(...)
  local count = select("#", ...)
  local format, data, from = ...
  local state = start(format, "unpack", count)
  if type(data) == "number" then data = tostring(data) end
  if type(data) ~= "string" then argument(2, "unpack", "string expected, got " .. kind_of(count, 2, data)) end
  if from == nil then from = 1 end
  local position = (type(from) == "number" or type(from) == "string") and tonumber(from)
  if not position then argument(3, "unpack", "number expected, got " .. type(from)) end
  position = floor(position)
  -- An unsigned number in C: what is negative is great.
  if position == 0 then argument(3, "unpack", "offset must be 1 or greater") end
  position = position < 0 and 18446744073709551615 or position - 1
  local found, n = {}, 0
  local function check(size)
    if size > #data or position > #data - size then argument(2, "unpack", "data string too short") end
  end
  while state.at <= #state.format do
    local letter, size = option(state)
    position = position + padding(state, position, letter, size)
    check(size)
    if n >= 7990 then raise("stack overflow (too many results)") end
    local text = sub(data, position + 1, position + size)
    if INTEGER[letter] then
      n = n + 1
      found[n] = numbers.unpack_integer(ordered(state, text), find(letter, "%l") ~= nil)
    elseif letter == "x" then
      size = 1
    elseif letter == "f" then
      n = n + 1
      found[n] = numbers.unpack_float(ordered(state, text))
    elseif letter == "d" then
      n = n + 1
      found[n] = numbers.unpack_double(ordered(state, text))
    elseif letter == "c" then
      if size == 0 then
        size = n > 0 and tonumber(found[n])
        if not size then raise("format 'c0' needs a previous size") end
        n = n - 1
        size = size < 0 and 18446744073709551615 or floor(size)
        check(size)
        text = sub(data, position + 1, position + size)
      end
      n = n + 1
      found[n] = text
    elseif letter == "s" then
      local stop = find(data, "%z", position + 1)
      if not stop then raise("unfinished string in data") end
      n = n + 1
      found[n] = sub(data, position + 1, stop - 1)
      size = stop - position
    else
      control(state, letter, "unpack")
    end
    position = position + size
  end
  found[n + 1] = position + 1
  return unpack(found, 1, n + 1)
end

function struct.size(...)
  local state = start((...), "size", select("#", ...))
  local position = 0
  while state.at <= #state.format do
    local letter, size = option(state)
    position = position + padding(state, position, letter, size)
    if letter == "s" then
      argument(1, "size", "option 's' has no fixed size")
    elseif letter == "c" and size == 0 then
      argument(1, "size", "option 'c0' has no fixed size")
    end
    if not find(letter, "%w") then control(state, letter, "size") end
    position = position + size
  end
  return position
end

return struct
