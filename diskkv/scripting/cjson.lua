-- cjson, as it is in Redis. `host` has what the libraries share.
local host = ...
local raise, argument = host.raise, host.argument
local select, type, next, rawget, tonumber, tostring = select, type, next, rawget, tonumber, tostring
local sub, find, byte, char, format, gsub, concat = string.sub, string.find, string.byte, string.char, string.format, string.gsub, table.concat
local floor, huge = math.floor, math.huge

local null = newproxy(false)
local cjson = {null = null, _NAME = "cjson", _VERSION = "2.1.0"}

-- The settings, which a script may change for itself: they are put back before the next.
local convert, ratio, safe, most_out, most_in, precision, invalid_out, invalid_in, keep
function host.reset_cjson()
  convert, ratio, safe, most_out, most_in, precision, invalid_out, invalid_in, keep = false, 2, 10, 1000, 1000, 14, false, true, true
end
host.reset_cjson()

-- Writing -----------------------------------------------------------------------------------------------------------------------------

local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}
for i = 0, 31 do escapes[char(i)] = escapes[char(i)] or format("\\u%04x", i) end
escapes["\127"] = "\\u007f"

local function quote(text) return '"' .. gsub(text, '[%c"\\/\127]', escapes) .. '"' end

local function refuse(value, reason) raise("Cannot serialise " .. type(value) .. ": " .. reason) end

local function numeral(value)
  if value ~= value or value == huge or value == -huge then
    if invalid_out == "null" then return "null" end
    if not invalid_out then refuse(value, "must not be NaN or Inf") end
    if value ~= value then return "nan" end
  end
  return format("%." .. precision .. "g", value)
end

-- How long a table is as an array; -1 when it is none.
local function array_length(value)
  local most, items = 0, 0
  for key in next, value do
    if type(key) ~= "number" or key < 1 or key ~= floor(key) then return -1 end
    if key > most then most = key end
    items = items + 1
  end
  if ratio > 0 and most > items * ratio and most > safe then
    if not convert then refuse(value, "excessively sparse array") end
    return -1
  end
  return most
end

local write
local function write_table(value, pieces, depth)
  if depth > most_out then raise("Cannot serialise, excessive nesting (" .. depth .. ")") end
  local length = array_length(value)
  if length > 0 then
    pieces[#pieces + 1] = "["
    for i = 1, length do
      if i > 1 then pieces[#pieces + 1] = "," end
      write(rawget(value, i), pieces, depth)
    end
    pieces[#pieces + 1] = "]"
    return
  end
  pieces[#pieces + 1] = "{"
  local first = true
  for key, item in next, value do
    if not first then pieces[#pieces + 1] = "," end
    first = false
    if type(key) == "number" then
      pieces[#pieces + 1] = '"' .. numeral(key) .. '":'
    elseif type(key) == "string" then
      pieces[#pieces + 1] = quote(key) .. ":"
    else
      refuse(key, "table key must be a number or string")
    end
    write(item, pieces, depth)
  end
  pieces[#pieces + 1] = "}"
end

function write(value, pieces, depth)
  local kind = type(value)
  if kind == "string" then
    pieces[#pieces + 1] = quote(value)
  elseif kind == "number" then
    pieces[#pieces + 1] = numeral(value)
  elseif kind == "boolean" then
    pieces[#pieces + 1] = value and "true" or "false"
  elseif kind == "table" then
    write_table(value, pieces, depth + 1)
  elseif value == nil or value == null then
    pieces[#pieces + 1] = "null"
  else
    refuse(value, "type not supported")
  end
end

function cjson.encode(...)
  if select("#", ...) ~= 1 then argument(1, "encode", "expected 1 argument") end
  local pieces = {}
  write((...), pieces, 0)
  return concat(pieces)
end

-- Reading -----------------------------------------------------------------------------------------------------------------------------

local function utf8(code)
  if code < 128 then return char(code) end
  if code < 2048 then return char(192 + floor(code / 64), 128 + code % 64) end
  if code < 65536 then return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64) end
  return char(240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64)
end

local letters = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}

-- The string that begins at a quote; nil, what is wrong, and where.
local function read_string(json, at)
  local from = at + 1
  local stop = find(json, '["\\%z]', from)
  if stop and byte(json, stop) == 34 then return sub(json, from, stop - 1), nil, stop + 1 end
  local pieces = {}
  while true do
    stop = find(json, '["\\%z]', from)
    if not stop then return nil, "unexpected end of string", #json + 1 end
    pieces[#pieces + 1] = sub(json, from, stop - 1)
    local mark = byte(json, stop)
    if mark == 34 then return concat(pieces), nil, stop + 1 end
    if mark == 0 then return nil, "unexpected end of string", stop end
    local letter = sub(json, stop + 1, stop + 1)
    if letter == "u" then
      local hex = sub(json, stop + 2, stop + 5)
      if not find(hex, "^%x%x%x%x$") then return nil, "invalid unicode escape code", stop end
      local code = tonumber(hex, 16)
      from = stop + 6
      if code >= 55296 and code < 57344 then
        local second = sub(json, from, from + 5)
        if code >= 56320 or not find(second, "^\\u[dD][c-fC-F]%x%x$") then return nil, "invalid unicode escape code", stop end
        code = 65536 + (code - 55296) * 1024 + tonumber(sub(second, 3), 16) - 56320
        from = from + 6
      end
      pieces[#pieces + 1] = utf8(code)
    else
      local meant = letters[letter]
      if not meant then return nil, "invalid escape code", stop end
      pieces[#pieces + 1] = meant
      from = stop + 2
    end
  end
end

local SINGLE = {
  ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [":"] = "T_COLON", [","] = "T_COMMA",
}

-- The next token: its type, its value, where it begins, where the next may begin.
local function token(json, at)
  at = find(json, "[^ \t\r\n]", at) or #json + 1
  local mark = sub(json, at, at)
  -- As to a reader of C strings, which the original is.
  if mark == "" or mark == "\0" then return "T_END", nil, at, at end
  local single = SINGLE[mark]
  if single then return single, nil, at, at + 1 end
  if mark == '"' then
    local text, problem, after = read_string(json, at)
    if problem then return "T_ERROR", problem, after, after end
    return "T_STRING", text, at, after
  end
  local rest
  if find(mark, "[-%d+iInN]") then
    if find(json, "^[-+]?0[xX]%x", at) then
      rest = select(2, find(json, "^[-+]?0[xX]%x+%.?%x*[pP]?[-+]?%d*", at))
    elseif find(json, "^[-+]?%d", at) or find(json, "^[-+]?%.%d", at) then
      rest = select(2, find(json, "^[-+]?%d*%.?%d*", at))
      local _, exponent = find(json, "^[eE][-+]?%d+", rest + 1)
      rest = exponent or rest
    end
    if rest and (mark ~= "+" or invalid_in) and mark ~= "." then
      local _, zeros = find(json, "^-?0[xX%d]", at)
      if zeros and not invalid_in then return "T_ERROR", "invalid number", at, at end
      local value = tonumber(sub(json, mark == "+" and at + 1 or at, rest))
      if value then return "T_NUMBER", value, at, rest + 1 end
    end
    if mark == "-" or find(mark, "%d") then
      if invalid_in then
        local word = find(json, "^-[iI][nN][fF]", at)
        if word then
          local _, stop = find(json, "^-[iI][nN][fF][iI][nN][iI][tT][yY]", at)
          return "T_NUMBER", -huge, at, (stop or at + 3) + 1
        end
        if find(json, "^-[nN][aA][nN]", at) then return "T_NUMBER", huge - huge, at, at + 4 end
      end
      return "T_ERROR", "invalid number", at, at
    end
  end
  if sub(json, at, at + 3) == "true" then return "T_BOOLEAN", true, at, at + 4 end
  if sub(json, at, at + 4) == "false" then return "T_BOOLEAN", false, at, at + 5 end
  if sub(json, at, at + 3) == "null" then return "T_NULL", null, at, at + 4 end
  if invalid_in then
    local _, stop = find(json, "^%+?[iI][nN][fF]", at)
    if stop then
      local _, long = find(json, "^%+?[iI][nN][fF][iI][nN][iI][tT][yY]", at)
      return "T_NUMBER", huge, at, (long or stop) + 1
    end
    _, stop = find(json, "^%+?[nN][aA][nN]", at)
    if stop then return "T_NUMBER", huge - huge, at, stop + 1 end
    if mark == "+" then return "T_ERROR", "invalid number", at, at end
  end
  return "T_ERROR", "invalid token", at, at
end

local function unexpected(expected, kind, value, at)
  raise("Expected " .. expected .. " but found " .. (kind == "T_ERROR" and value or kind) .. " at character " .. at)
end

local read_value
local function descend(depth, at)
  if depth > most_in then raise("Found too many nested data structures (" .. depth .. ") at character " .. at - 1) end
end

local function read_object(json, at, depth)
  descend(depth, at)
  local result = {}
  local kind, value, where, after = token(json, at)
  if kind == "T_OBJ_END" then return result, after end
  while true do
    if kind ~= "T_STRING" then unexpected("object key string", kind, value, where) end
    local key = value
    kind, value, where, after = token(json, after)
    if kind ~= "T_COLON" then unexpected("colon", kind, value, where) end
    kind, value, where, after = token(json, after)
    result[key], after = read_value(json, depth, kind, value, where, after)
    kind, value, where, after = token(json, after)
    if kind == "T_OBJ_END" then return result, after end
    if kind ~= "T_COMMA" then unexpected("comma or object end", kind, value, where) end
    kind, value, where, after = token(json, after)
  end
end

local function read_array(json, at, depth)
  descend(depth, at)
  local result, count = {}, 0
  local kind, value, where, after = token(json, at)
  if kind == "T_ARR_END" then return result, after end
  while true do
    count = count + 1
    result[count], after = read_value(json, depth, kind, value, where, after)
    kind, value, where, after = token(json, after)
    if kind == "T_ARR_END" then return result, after end
    if kind ~= "T_COMMA" then unexpected("comma or array end", kind, value, where) end
    kind, value, where, after = token(json, after)
  end
end

function read_value(json, depth, kind, value, where, after)
  if kind == "T_STRING" or kind == "T_NUMBER" or kind == "T_BOOLEAN" or kind == "T_NULL" then return value, after end
  local result
  if kind == "T_OBJ_BEGIN" then
    result, after = read_object(json, after, depth + 1)
  elseif kind == "T_ARR_BEGIN" then
    result, after = read_array(json, after, depth + 1)
  else
    unexpected("value", kind, value, where)
  end
  return result, after
end

function cjson.decode(...)
  local json = ...
  if select("#", ...) ~= 1 then argument(1, "decode", "expected 1 argument") end
  if type(json) ~= "string" and type(json) ~= "number" then argument(1, "decode", "string expected, got " .. type(json)) end
  json = tostring(json)
  if #json > 1 and (byte(json, 1) == 0 or byte(json, 2) == 0) then raise("JSON parser does not support UTF-16 or UTF-32") end
  local kind, value, where, after = token(json, 1)
  local result
  result, after = read_value(json, 0, kind, value, where, after)
  kind, value, where = token(json, after)
  if kind ~= "T_END" then unexpected("the end", kind, value, where) end
  return result
end

-- Settings ----------------------------------------------------------------------------------------------------------------------------

local function whole(value, number, name, least, most)
  local found = tonumber(value)
  if not found then argument(number, name, "number expected, got " .. type(value)) end
  found = floor(found)
  if found < least or found > most then argument(number, name, "expected integer between " .. least .. " and " .. most) end
  return found
end
local function chosen(value, number, name, words)
  if type(value) == "boolean" then return value end
  for i = 1, #words do
    if words[i] == value then return value == "on" or (value ~= "off" and value) end
  end
  argument(number, name, "invalid option '" .. tostring(value) .. "'")
end
local function few(name, most, ...)
  if select("#", ...) > most then argument(most + 1, name, "found too many arguments") end
end

function cjson.encode_sparse_array(...)
  few("encode_sparse_array", 3, ...)
  local a, b, c = ...
  if a ~= nil then convert = chosen(a, 1, "encode_sparse_array", {"off", "on"}) end
  if b ~= nil then ratio = whole(b, 2, "encode_sparse_array", 0, 2147483647) end
  if c ~= nil then safe = whole(c, 3, "encode_sparse_array", 0, 2147483647) end
  return convert, ratio, safe
end
function cjson.encode_max_depth(...)
  few("encode_max_depth", 1, ...)
  if (...) ~= nil then most_out = whole((...), 1, "encode_max_depth", 1, 2147483647) end
  return most_out
end
function cjson.decode_max_depth(...)
  few("decode_max_depth", 1, ...)
  if (...) ~= nil then most_in = whole((...), 1, "decode_max_depth", 1, 2147483647) end
  return most_in
end
function cjson.encode_number_precision(...)
  few("encode_number_precision", 1, ...)
  if (...) ~= nil then precision = whole((...), 1, "encode_number_precision", 1, 14) end
  return precision
end
function cjson.encode_keep_buffer(...)
  few("encode_keep_buffer", 1, ...)
  if (...) ~= nil then keep = chosen((...), 1, "encode_keep_buffer", {"off", "on"}) end
  return keep
end
function cjson.encode_invalid_numbers(...)
  few("encode_invalid_numbers", 1, ...)
  if (...) ~= nil then invalid_out = chosen((...), 1, "encode_invalid_numbers", {"off", "on", "null"}) end
  return invalid_out
end
function cjson.decode_invalid_numbers(...)
  few("decode_invalid_numbers", 1, ...)
  if (...) ~= nil then invalid_in = chosen((...), 1, "decode_invalid_numbers", {"off", "on"}) end
  return invalid_in
end

return cjson
