-- cmsgpack, as it is in Redis. `host` has what the libraries share.
local host = ...
local raise, argument, kind_of, numbers = host.raise, host.argument, host.kind_of, host.numbers
local select, type, next, tonumber, tostring, unpack = select, type, next, tonumber, tostring, unpack
local sub, byte, char, concat, floor, huge = string.sub, string.byte, string.char, table.concat, math.floor, math.huge
local integer = numbers.pack_integer

local cmsgpack = {
  _NAME = "cmsgpack", _VERSION = "lua-cmsgpack 0.4.0", _COPYRIGHT = "Copyright (C) 2012, Redis Ltd.",
  _DESCRIPTION = "MessagePack C implementation for Lua",
}
-- Tables nested deeper than this are nil.
local DEEPEST = 16

local function put_whole(value)
  if value >= 0 then
    if value <= 127 then return char(value) end
    if value <= 255 then return "\204" .. char(value) end
    if value <= 65535 then return "\205" .. integer(value, 2) end
    if value <= 4294967295 then return "\206" .. integer(value, 4) end
    return "\207" .. integer(value, 8)
  end
  if value >= -32 then return char(256 + value) end
  if value >= -128 then return "\208" .. integer(value, 1) end
  if value >= -32768 then return "\209" .. integer(value, 2) end
  if value >= -2147483648 then return "\210" .. integer(value, 4) end
  return "\211" .. integer(value, 8)
end

local function put_number(value)
  if value == floor(value) and value >= -9223372036854775808 and value < 9223372036854775808 then return put_whole(value) end
  local float = numbers.pack_float(value)
  if numbers.unpack_float(float) == value then return "\202" .. float end
  return "\203" .. numbers.pack_double(value)
end

local function put_string(text)
  local size = #text
  if size < 32 then return char(160 + size) .. text end
  if size <= 255 then return "\217" .. char(size) .. text end
  if size <= 65535 then return "\218" .. integer(size, 2) .. text end
  return "\219" .. integer(size, 4) .. text
end

local function put_head(count, small, medium, large)
  if count <= 15 then return char(small + count) end
  if count <= 65535 then return medium .. integer(count, 2) end
  return large .. integer(count, 4)
end

local function is_array(value)
  local count, most = 0, 0
  for key in next, value do
    if type(key) ~= "number" or key <= 0 or key ~= floor(key) or key > 2147483647 then return false end
    if key > most then most = key end
    count = count + 1
  end
  return most == count, count
end

local put
local function put_table(value, pieces, level)
  local array, count = is_array(value)
  if array then
    pieces[#pieces + 1] = put_head(count, 144, "\220", "\221")
    for i = 1, count do put(value[i], pieces, level + 1) end
    return
  end
  count = 0
  for _ in next, value do count = count + 1 end
  pieces[#pieces + 1] = put_head(count, 128, "\222", "\223")
  for key, item in next, value do
    put(key, pieces, level + 1)
    put(item, pieces, level + 1)
  end
end

function put(value, pieces, level)
  local kind = type(value)
  if kind == "string" then
    pieces[#pieces + 1] = put_string(value)
  elseif kind == "boolean" then
    pieces[#pieces + 1] = value and "\195" or "\194"
  elseif kind == "number" then
    pieces[#pieces + 1] = put_number(value)
  elseif kind == "table" and level ~= DEEPEST then
    put_table(value, pieces, level)
  else
    pieces[#pieces + 1] = "\192"
  end
end

function cmsgpack.pack(...)
  local count = select("#", ...)
  if count == 0 then argument(0, "pack", "MessagePack pack needs input.") end
  local pieces = {}
  for i = 1, count do put((select(i, ...)), pieces, 0) end
  return concat(pieces)
end

-- Reading: the value at a place, and the place behind it. -------------------------------------------------------------------------------

local function need(data, at, size)
  if at + size - 1 > #data then raise("Missing bytes in input.") end
end

local take
local function take_array(data, at, count)
  local result = {}
  for i = 1, count do result[i], at = take(data, at) end
  return result, at
end
local function take_map(data, at, count)
  local result = {}
  for _ = 1, count do
    local key, value
    key, at = take(data, at)
    value, at = take(data, at)
    if key == nil then raise("table index is nil") end
    if key ~= key then raise("table index is NaN") end
    result[key] = value
  end
  return result, at
end
local function take_string(data, at, size)
  need(data, at, size)
  return sub(data, at, at + size - 1), at + size
end

local SIZED = {[204] = 1, [205] = 2, [206] = 4, [207] = 8, [208] = 1, [209] = 2, [210] = 4, [211] = 8}
local LENGTHS = {[217] = 1, [218] = 2, [219] = 4, [220] = 2, [221] = 4, [222] = 2, [223] = 4}
function take(data, at)
  need(data, at, 1)
  local mark = byte(data, at)
  at = at + 1
  if mark < 128 then return mark, at end
  if mark >= 224 then return mark - 256, at end
  if mark < 144 then return take_map(data, at, mark - 128) end
  if mark < 160 then return take_array(data, at, mark - 144) end
  if mark < 192 then return take_string(data, at, mark - 160) end
  local size = SIZED[mark]
  if size then
    need(data, at, size)
    return numbers.unpack_integer(sub(data, at, at + size - 1), mark >= 208), at + size
  end
  size = LENGTHS[mark]
  if size then
    need(data, at, size)
    local count = numbers.unpack_integer(sub(data, at, at + size - 1))
    at = at + size
    if mark <= 219 then return take_string(data, at, count) end
    if mark <= 221 then return take_array(data, at, count) end
    return take_map(data, at, count)
  end
  if mark == 192 then return nil, at end
  if mark == 194 then return false, at end
  if mark == 195 then return true, at end
  if mark == 202 then
    need(data, at, 4)
    return numbers.unpack_float(sub(data, at, at + 3)), at + 4
  end
  if mark == 203 then
    need(data, at, 8)
    return numbers.unpack_double(sub(data, at, at + 7)), at + 8
  end
  raise("Bad data format in input.")
end

local function whole(value, number, name, count, otherwise)
  if value == nil and otherwise then return otherwise end
  local found = (type(value) == "number" or type(value) == "string") and tonumber(value)
  if not found then argument(number, name, "number expected, got " .. kind_of(count, number, value)) end
  return found < 0 and -floor(-found) or floor(found)
end

local function read(name, count, data, limit, offset)
  if type(data) == "number" then data = tostring(data) end
  if type(data) ~= "string" then argument(1, name, "string expected, got " .. kind_of(count, 1, data)) end
  if offset < 0 or limit < 0 then
    raise("Invalid request to unpack with offset of " .. offset .. " and limit of " .. #data .. ".")
  elseif offset > #data then
    raise("Start offset " .. offset .. " greater than input length " .. #data .. ".")
  end
  local all = limit == 0 and offset == 0
  local found, n, at = {}, 0, offset + 1
  while at <= #data and (all or n < limit) do
    n = n + 1
    if n > 7990 then raise("stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)") end
    found[n], at = take(data, at)
  end
  if all then return unpack(found, 1, n) end
  return at > #data and -1 or at - 1, unpack(found, 1, n)
end

function cmsgpack.unpack(...)
  return read("unpack", select("#", ...), (...), 0, 0)
end
function cmsgpack.unpack_one(...)
  local count = select("#", ...)
  local data, offset = ...
  return read("unpack_one", count, data, 1, whole(offset, 2, "unpack_one", count, 0))
end
function cmsgpack.unpack_limit(...)
  local count = select("#", ...)
  local data, limit, offset = ...
  return read("unpack_limit", count, data, whole(limit, 2, "unpack_limit", count), whole(offset, 3, "unpack_limit", count, 0))
end

return cmsgpack
