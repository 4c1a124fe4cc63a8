-- The world that scripts see, and the loop that serves them. Runs in the child process as its only program, and never returns to the
-- Python that loaded it: requests come and replies go through Lua's own files on descriptors 0 and 1. An error, at whatever depth, is
-- therefore Lua's alone to unwind. Arguments: the version that scripts are told, and the sources of the libraries by name.
local version, sources = ...

local setfenv, getfenv, loadstring, getinfo, exit, clock = setfenv, getfenv, loadstring, debug.getinfo, os.exit, os.clock
local rawget, rawset, setmetatable, getmetatable, next, type = rawget, rawset, setmetatable, getmetatable, next, type
local select, tostring, tonumber, error, xpcall, pcall = select, tostring, tonumber, error, xpcall, pcall
local collectgarbage, unpack = collectgarbage, unpack
local sub, find, byte, rep, format, gsub, gmatch, lower =
  string.sub, string.find, string.byte, string.rep, string.format, string.gsub, string.gmatch, string.lower
local concat, floor, ceil, huge, remove, insert, sort, foreach = table.concat, math.floor, math.ceil, math.huge, table.remove, table.insert,
  table.sort, table.foreach
local input, output = io.stdin, io.stdout
local real = getfenv(0)
input:setvbuf("full", 65536)
output:setvbuf("full", 65536)
-- Between two scripts as much garbage may lie around as Lua's own default allows, within one a little less.
collectgarbage("setpause", 150)

local HOST = "=host"
-- How the process ends when its ends of the wire no longer agree: an error struck while something was on its way.
local OUT_OF_STEP = 3

-- The outside -----------------------------------------------------------------------------------------------------------------------

-- Room on Lua's stack for what an exchange needs, so that it fails here or not at all.
local function room3() return 1 end
local function room2() local a = room3() return a end
local function room1() local a = room2() return a end

local exchanging = false
local function begin()
  if exchanging then exit(OUT_OF_STEP) end
  room1()
end

local function send(kind, pieces, size)
  local head = format("%s%08x", kind, size)
  if size < 65536 then
    local body = concat(pieces)
    exchanging = true
    output:write(head, body)
  else
    local count = #pieces
    exchanging = true
    output:write(head)
    for i = 1, count do output:write(pieces[i]) end
  end
  output:flush()
end

local function receive()
  local head = input:read(8)
  if not head then exit(0) end
  -- Lua would wait for another byte before it reads none.
  local body = head == "00000000" and "" or input:read(tonumber(head, 16))
  if not body then exit(0) end
  exchanging = false
  return body
end

local function exchange(kind, pieces, size)
  begin()
  send(kind, pieces, size)
  return receive()
end

-- RESP into values ------------------------------------------------------------------------------------------------------------------

local function error_table(line)
  local code, text = "ERR", line
  local space = find(line, " ", 1, true)
  if space then code, text = sub(line, 1, space - 1), sub(line, space + 1) end
  return {err = code .. " " .. text}
end

local parse
local DOLLAR, COLON, PLUS, MINUS, STAR, UNDERLINE, COMMA, HASH, PERCENT, TILDE, EQUALS, PAREN, GREATER, BAR =
  byte("$:+-*_,#%~=(>|", 1, -1)
function parse(wire, at)
  local kind = byte(wire, at)
  local stop = find(wire, "\r", at, true)
  local head = sub(wire, at + 1, stop - 1)
  at = stop + 2
  if kind == DOLLAR then
    local size = tonumber(head)
    if size < 0 then return false, at end
    return sub(wire, at, at + size - 1), at + size + 2
  elseif kind == COLON then
    return tonumber(head), at
  elseif kind == STAR or kind == GREATER then
    local count = tonumber(head)
    if count < 0 then return false, at end
    local items = {}
    for i = 1, count do
      -- Bulk strings in arrays are nearly everything.
      if byte(wire, at) == DOLLAR and byte(wire, at + 1) ~= MINUS then
        local stop = find(wire, "\r", at, true)
        local size = tonumber(sub(wire, at + 1, stop - 1))
        items[i] = sub(wire, stop + 2, stop + 1 + size)
        at = stop + size + 4
      else
        items[i], at = parse(wire, at)
      end
    end
    return items, at
  elseif kind == PLUS then
    return {ok = head}, at
  elseif kind == MINUS then
    local problem = error_table(head)
    problem.ignore_error_stats_update = true
    return problem, at
  elseif kind == UNDERLINE then
    return nil, at
  elseif kind == COMMA then
    local value = tonumber(head)
    if head == "inf" then value = huge elseif head == "-inf" then value = -huge elseif head == "nan" then value = huge - huge end
    return {double = value}, at
  elseif kind == HASH then
    return head == "t", at
  elseif kind == EQUALS then
    local size = tonumber(head)
    return {verbatim_string = {format = sub(wire, at, at + 2), string = sub(wire, at + 4, at + size - 1)}}, at + size + 2
  elseif kind == PAREN then
    return {big_number = head}, at
  elseif kind == BAR then
    -- An attribute stands before the reply that it describes, and scripts don't see it.
    local _
    for _ = 1, 2 * tonumber(head) do _, at = parse(wire, at) end
    return parse(wire, at)
  end
  local items = {}
  for _ = 1, tonumber(head) do
    local key, value
    key, at = parse(wire, at)
    value = true
    if kind == PERCENT then value, at = parse(wire, at) end
    if key ~= nil then items[key] = value end
  end
  if kind == PERCENT then return {map = items}, at end
  return {set = items}, at
end

-- Values into RESP ------------------------------------------------------------------------------------------------------------------

local function whole(value)
  if value ~= value or value >= 9223372036854775808 or value < -9223372036854775808 then return "-9223372036854775808" end
  -- Adding zero turns -0 into 0.
  return format("%.0f", (value < 0 and ceil(value) or floor(value)) + 0)
end

local function double(value)
  if value ~= value then return "nan" elseif value == huge then return "inf" elseif value == -huge then return "-inf" end
  if value == floor(value) and value > -4611686018427387904 and value < 4611686018427387904 then
    if value == 0 and 1 / value < 0 then return "-0" end
    return format("%.0f", value)
  end
  -- The shortest digits that read back the same, laid out by the rule of `format_double` in lib/numbers.py.
  local text
  for digits = 15, 17 do
    text = format("%." .. digits - 1 .. "e", value)
    if tonumber(text) == value then break end
  end
  local _, _, sign, first, rest, exponent = find(text, "^(-?)(%d)%.(%d*)e([-+]%d+)$")
  local digits = gsub(first .. rest, "0+$", "")
  local count, magnitude = #digits, tonumber(exponent)
  local scale = magnitude - count + 1
  if scale >= 0 and scale < 8 then
    digits = digits .. rep("0", scale)
  elseif scale < 0 and (scale > -7 or (magnitude < 4 and magnitude > -4)) then
    if magnitude >= 0 then
      digits = sub(digits, 1, magnitude + 1) .. "." .. sub(digits, magnitude + 2)
    else
      digits = "0." .. rep("0", -magnitude - 1) .. digits
    end
  else
    digits = sub(digits, 1, 1) .. (count > 1 and "." .. sub(digits, 2) or "") .. format("e%+d", magnitude)
  end
  return sign .. digits
end

local resp = 2 -- what redis.setresp chose
local told = 2 -- what the caller speaks
local pieces, filled, size
local function put(text)
  filled = filled + 1
  pieces[filled] = text
  size = size + #text
end
local function put_bulk(text)
  put("$" .. #text .. "\r\n")
  put(text)
  put("\r\n")
end
-- A line as C makes it of a text: up to its first NUL, line breaks as spaces.
local function one_line(text) return (gsub(gsub(text, "%z.*$", ""), "[\r\n]", " ")) end

-- As deep as Redis goes: each level takes one slot of the 8,000 that its C function may use.
local DEEPEST = 7995
local put_value
local function put_table(value, depth)
  local field = rawget(value, "err")
  if type(field) == "string" then return put("-" .. one_line(field) .. "\r\n") end
  field = rawget(value, "ok")
  if type(field) == "string" then return put("+" .. one_line(field) .. "\r\n") end
  field = rawget(value, "double")
  if type(field) == "number" then
    if told == 3 then return put("," .. double(field) .. "\r\n") end
    return put_bulk(double(field))
  end
  field = rawget(value, "big_number")
  if type(field) == "string" then
    if told == 3 then return put("(" .. one_line(field) .. "\r\n") end
    return put_bulk(one_line(field))
  end
  field = rawget(value, "verbatim_string")
  if type(field) == "table" then
    local kind, text = rawget(field, "format"), rawget(field, "string")
    if type(kind) == "string" and type(text) == "string" then
      if told == 2 then return put_bulk(text) end
      put("=" .. #text + 4 .. "\r\n" .. sub(kind .. "   ", 1, 3) .. ":")
      put(text)
      return put("\r\n")
    end
  end
  local map, set = rawget(value, "map"), rawget(value, "set")
  put("")
  local mark, count = filled, 0
  local head
  if type(map) == "table" then
    for key, item in next, map do
      count = count + 1
      put_value(key, depth + 1)
      put_value(item, depth + 1)
    end
    head = told == 3 and "%" .. count or "*" .. 2 * count
  elseif type(set) == "table" then
    for key in next, set do
      count = count + 1
      put_value(key, depth + 1)
    end
    head = (told == 3 and "~" or "*") .. count
  else
    while true do
      local item = rawget(value, count + 1)
      if item == nil then break end
      count = count + 1
      put_value(item, depth + 1)
    end
    head = "*" .. count
  end
  head = head .. "\r\n"
  pieces[mark] = head
  size = size + #head
end

function put_value(value, depth)
  local kind = type(value)
  if depth > DEEPEST then
    put("-ERR reached lua stack limit\r\n")
  elseif kind == "string" then
    put_bulk(value)
  elseif kind == "number" then
    put(":" .. whole(value) .. "\r\n")
  elseif kind == "table" then
    put_table(value, depth)
  elseif kind == "boolean" and resp == 3 then
    if told == 3 then put(value and "#t\r\n" or "#f\r\n") else put(value and ":1\r\n" or ":0\r\n") end
  elseif value == true then
    put(":1\r\n")
  else
    put(told == 3 and "_\r\n" or "$-1\r\n")
  end
end

-- Errors ----------------------------------------------------------------------------------------------------------------------------

local source_text -- of what is running, to find the line of a call whose frame has been replaced by it
local function tail_line()
  local line, found = 1, nil
  for text in gmatch(source_text or "", "([^\n]*)\n?") do
    if find(text, "return[%s(]+[%w_.]+%s*%(") then
      if found then return found end
      found = line
    end
    line = line + 1
  end
  return found or 1
end

-- The place that called into here, from a function `level` levels below the one that asks.
local function place(level)
  local info = getinfo(level + 1, "Sl")
  while info and info.source == HOST do
    level = level + 1
    info = getinfo(level + 1, "Sl")
  end
  return info, level
end

-- What luaL_error puts before a message.
local function where(level)
  local info = place(level + 1)
  if not info then return "" end
  if info.what == "tail" then return "user_script:" .. tail_line() .. ": " end
  if info.currentline > 0 then return info.short_src .. ":" .. info.currentline .. ": " end
  return ""
end

-- An error as a C function of Lua's raises it: the text begins with the caller's place.
local function raise(text) error(where(2) .. text, 0) end
local function argument(number, name, text) error(where(2) .. "bad argument #" .. number .. " to '" .. name .. "' (" .. text .. ")", 0) end
local function kind_of(count, number, value) return number > count and "no value" or type(value) end

local current_source = "@user_script"
local function explain(problem)
  local info, level = place(2)
  if info and info.what == "C" then info = place(level + 1) end
  if type(problem) ~= "table" then problem = {err = "ERR " .. tostring(problem)} end
  local message = rawget(problem, "err")
  if type(message) == "number" then message = tostring(message) end
  if type(message) ~= "string" then message = "ERR unknown error" end
  local at
  if info then
    if info.what == "tail" then
      at = current_source .. ":" .. tail_line()
    elseif info.source ~= HOST and info.source ~= "=[C]" then
      at = info.source .. ":" .. info.currentline
    end
  end
  return {message, at, rawget(problem, "ignore_error_stats_update") == true}
end

local function fail(text) error({err = "ERR " .. text}, 0) end

-- redis.* ---------------------------------------------------------------------------------------------------------------------------

local heads = {}
for i = 0, 255 do heads[i] = "$" .. i .. "\r\n" end

-- The words as one request; numbers as Redis prints them. Nil and a message when something is neither string nor number.
local function request(...)
  local count = select("#", ...)
  if count == 0 then return nil, "Please specify at least one argument for this redis lib call" end
  local words, made, total = {...}, {"*" .. count .. "\r\n"}, 0
  total = #made[1]
  local at = 1
  for i = 1, count do
    local word = words[i]
    local kind = type(word)
    if kind == "number" then
      if word == floor(word) and word > -4611686018427387904 and word < 4611686018427387904 then
        word = format("%.0f", word + 0)
      else
        word = double(word)
      end
    elseif kind ~= "string" then
      return nil, "Lua redis lib command arguments must be strings or integers"
    end
    local length = #word
    local head = heads[length] or "$" .. length .. "\r\n"
    made[at + 1], made[at + 2], made[at + 3] = head, word, "\r\n"
    at = at + 3
    total = total + #head + length + 2
  end
  return made, total
end

local running = false
local function run_command(...)
  local made, total = request(...)
  if not made then return {err = "ERR " .. total} end
  local reply = exchange(resp == 2 and "c" or "C", made, total)
  return (parse(reply, 1))
end

local redis = {
  REDIS_VERSION = version, REDIS_VERSION_NUM = 0, LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}
for part in gmatch(version, "%d+") do redis.REDIS_VERSION_NUM = redis.REDIS_VERSION_NUM * 256 + part end
function redis.call(...)
  local reply = run_command(...)
  if type(reply) == "table" and reply.err then error(reply, 0) end
  return reply
end
function redis.pcall(...)
  local reply = run_command(...)
  return reply
end
local function texts(...)
  if select("#", ...) ~= 1 or type((...)) ~= "string" then return {err = "ERR wrong number or type of arguments"} end
end
function redis.error_reply(...)
  local wrong = texts(...)
  if wrong then return wrong end
  local text = gsub(gsub((...), "^%-", ""), "%z.*$", "")
  local code, rest = "ERR", text
  local space = find(text, " ", 1, true)
  if space then code, rest = sub(text, 1, space - 1), sub(text, space + 1) end
  return {err = code .. " " .. gsub(gsub(rest, "^[\r\n]+", ""), "[\r\n]+$", "")}
end
function redis.status_reply(...) return texts(...) or {ok = (...)} end
local function scalar(value) return (type(value) == "string" or type(value) == "number") and tostring(value) or "" end
function redis.sha1hex(...)
  if select("#", ...) ~= 1 then fail("wrong number of arguments") end
  local text = scalar((...))
  local reply = exchange("s", {text}, #text)
  return reply
end
function redis.log(...)
  local count = select("#", ...)
  if count < 2 then fail("redis.log() requires two arguments or more.") end
  local level = tonumber((...))
  if not level then fail("First argument must be a number (log level).") end
  if level <= -1 or level >= 4 then fail("Invalid debug level.") end
  local words = {}
  for i = 2, count do words[#words + 1] = scalar((select(i, ...))) end
  local text = floor(level < 0 and 0 or level) .. concat(words, " ")
  exchange("l", {text}, #text)
end
function redis.setresp(...)
  if select("#", ...) ~= 1 then fail("redis.setresp() requires one argument.") end
  local wanted = tonumber((...)) or 0
  wanted = floor(wanted)
  if wanted ~= 2 and wanted ~= 3 then fail("RESP version must be 2 or 3.") end
  resp = wanted
end
function redis.set_repl(...)
  if select("#", ...) ~= 1 then fail("redis.set_repl() requires one argument.") end
  local flags = tonumber((...)) or 0
  if flags <= -1 or flags >= 4 then fail("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.") end
end
function redis.acl_check_cmd(...)
  local made, total = request(...)
  if not made then fail(total) end
  local reply = exchange("a", made, total)
  if reply == "?" then fail("Invalid command passed to redis.acl_check_cmd()") end
  return reply == "1"
end
function redis.replicate_commands() return true end
function redis.breakpoint() return false end
function redis.debug() end

-- Tables that nobody may change -------------------------------------------------------------------------------------------------------

-- From the table that scripts see, which is empty, to what it shows.
local shadows = setmetatable({}, {__mode = "k"})
local function readonly() error(where(2) .. "Attempt to modify a readonly table", 0) end
local function nonexistent(_, name)
  if type(name) ~= "string" and type(name) ~= "number" then raise("Second argument to luaProtectedTableError must be a string or number") end
  raise("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'")
end
local shown = setmetatable({}, {__newindex = readonly, __metatable = false})
shadows[shown] = {__index = nonexistent}
local function show(library, proxy)
  proxy = proxy or {}
  shadows[proxy] = library
  return setmetatable(proxy, {__index = library, __newindex = readonly, __metatable = shown})
end

local function copy(library, ...)
  local result = {}
  for name, value in next, library do result[name] = value end
  for i = 1, select("#", ...) do result[select(i, ...)] = nil end
  return result
end

local function own(t) if t ~= nil and shadows[t] then error("Attempt to modify a readonly table", 0) end end
local tables = copy(table)
-- What a C function says, said of the script's line and not of ours.
local function relayed(well, ...)
  if well then return ... end
  error(where(2) .. tostring((...)), 0)
end
function tables.insert(...)
  local t = ...
  own(t)
  if type(t) ~= "table" then argument(1, "insert", "table expected, got " .. kind_of(select("#", ...), 1, t)) end
  return relayed(pcall(insert, ...))
end
function tables.remove(...)
  local t = ...
  own(t)
  if type(t) ~= "table" then argument(1, "remove", "table expected, got " .. kind_of(select("#", ...), 1, t)) end
  return relayed(pcall(remove, ...))
end
function tables.sort(...)
  local t = ...
  own(t)
  if type(t) ~= "table" then argument(1, "sort", "table expected, got " .. kind_of(select("#", ...), 1, t)) end
  return sort(...)
end
function tables.foreach(t, f) return foreach(shadows[t] or t, f) end

-- math.random is Redis' own generator, seeded anew for each child: 48 bits, in two halves that a double multiplies exactly.
local high, low = 0x1234ABCD, 0x330E
local maths = copy(math)
local function draw()
  local carry = 0xE66D * low + 0xB
  local middle = floor(carry / 65536)
  local product = 0xE66D * (high % 65536) + 0xDEEC * low + middle
  local top = 0xE66D * floor(high / 65536) + 0xDEEC * (high % 65536) + 0x5 * low + floor(product / 65536)
  low = carry % 65536
  high = (top % 65536) * 65536 + product % 65536
  return floor(high / 2)
end
local function integer(value, number, name, count)
  local found = tonumber(value)
  if not found then argument(number, name, "number expected, got " .. kind_of(count, number, value)) end
  return found < 0 and ceil(found) or floor(found)
end
function maths.random(...)
  local count = select("#", ...)
  local r = draw() % 2147483647 / 2147483647
  if count == 0 then return r end
  local least, most = ...
  if count == 1 then
    most = integer(least, 1, "random", count)
    if most < 1 then argument(1, "random", "interval is empty") end
    return floor(r * most) + 1
  elseif count == 2 then
    least, most = integer(least, 1, "random", count), integer(most, 2, "random", count)
    if least > most then argument(2, "random", "interval is empty") end
    return floor(r * (most - least + 1)) + least
  end
  raise("wrong number of arguments")
end
function maths.randomseed(...)
  local seed = integer((...), 1, "randomseed", select("#", ...)) % 4294967296
  high, low = seed, 0x330E
end

-- The globals -------------------------------------------------------------------------------------------------------------------------

local strings = copy(string)
local dump = string.dump
function strings.dump(...)
  local f = ...
  if type(f) ~= "function" then argument(1, "dump", "function expected, got " .. kind_of(select("#", ...), 1, f)) end
  if getinfo(f, "S").source == HOST then raise("unable to dump given function") end
  return relayed(pcall(dump, f))
end
getmetatable("").__index = strings
getmetatable("").__metatable = shown

local host = {raise = raise, argument = argument, kind_of = kind_of, room = 512 * 1024 * 1024}
local function library(name)
  local loaded = loadstring(sources[name], HOST)
  return loaded(host)
end

local globals = {}
local G = show(globals)
setmetatable(globals, {__index = nonexistent})

local base = {
  _VERSION = _VERSION, assert = assert, error = error, getmetatable = getmetatable, ipairs = ipairs, rawequal = rawequal,
  select = select, tonumber = tonumber, tostring = tostring, type = type, xpcall = xpcall, gcinfo = gcinfo, coroutine = show(copy(coroutine)),
  string = show(strings), table = show(tables), math = show(maths), redis = show(redis), os = show({clock = clock}),
}
-- C counts the results in 32 bits, and writes beyond its stack when that goes wrong.
local MOST_RESULTS, LARGEST = 8000, 2147483647
function base.unpack(...)
  local count, t, i, j = select("#", ...), ...
  if type(t) ~= "table" then argument(1, "unpack", "table expected, got " .. kind_of(count, 1, t)) end
  local first, last = i == nil and 1 or tonumber(i), j == nil and #t or tonumber(j)
  if not first then argument(2, "unpack", "number expected, got " .. type(i)) end
  if not last then argument(3, "unpack", "number expected, got " .. type(j)) end
  if not (last - first < MOST_RESULTS - count and first >= -LARGEST and first <= LARGEST and last >= -LARGEST and last <= LARGEST) then
    raise("too many results to unpack")
  end
  return unpack(...)
end
function base.rawget(t, key) return rawget(shadows[t] or t, key) end
function base.rawset(...)
  own((...))
  return relayed(pcall(rawset, ...))
end
function base.setmetatable(...)
  own((...))
  return relayed(pcall(setmetatable, ...))
end
function base.next(t, key) return next(shadows[t] or t, key) end
function base.pairs(t)
  if type(t) ~= "table" then argument(1, "pairs", "table expected, got " .. (t == nil and "nil" or type(t))) end
  return base.next, t, nil
end
-- As in Redis, a table with `err` comes out of pcall as its text.
local function caught(well, ...)
  if well then return true, ... end
  local problem = ...
  if type(problem) == "table" then
    local text = problem.err
    if type(text) == "string" or type(text) == "number" then return false, text end
  end
  return false, problem
end
function base.pcall(...)
  if select("#", ...) == 0 then argument(1, "pcall", "value expected") end
  return caught(pcall(...))
end
local COLLECTING = {stop = true, restart = true, collect = true, count = true, step = true, setpause = true, setstepmul = true}
function base.collectgarbage(what)
  if what == "count" then return collectgarbage("count") end
  if what ~= nil and not COLLECTING[what] then argument(1, "collectgarbage", "invalid option '" .. tostring(what) .. "'") end
  if what == nil or what == "collect" then return collectgarbage() end
  return 0
end
-- Nothing is collected meanwhile: Lua's parser does not hold on to the chunk's name (CVE-2025-49844).
local function parsed(text, name, env)
  if sub(text, 1, 1) == "\27" then return nil, "bytecode is refused" end
  collectgarbage("stop")
  local made, problem = loadstring(text, name)
  collectgarbage("restart")
  if made then setfenv(made, env) end
  return made, problem
end
local function compile(text, name) return parsed(text, name, G) end
function base.loadstring(text, name)
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then argument(1, "loadstring", "string expected, got " .. (text == nil and "no value" or type(text))) end
  name = name == nil and text or name
  if type(name) ~= "string" then argument(2, "loadstring", "string expected, got " .. type(name)) end
  -- A script may not pass for the host, whose functions are treated otherwise.
  return compile(text, name == HOST and "=" or name)
end
function base.load(read, name)
  if type(read) ~= "function" then argument(1, "load", "function expected, got " .. (read == nil and "no value" or type(read))) end
  local parts = {}
  while true do
    local part = read()
    if part == nil or part == "" then break end
    if type(part) ~= "string" then return nil, "reader function must return a string" end
    parts[#parts + 1] = part
  end
  return base.loadstring(concat(parts), name == nil and "=(load)" or name)
end
local function resolve(f, name)
  if type(f) ~= "number" then
    if f ~= nil and type(f) ~= "function" then argument(1, name, "number expected, got " .. type(f)) end
    return f or 2
  end
  if f < 0 then argument(1, name, "level must be non-negative") end
  return f == 0 and 0 or floor(f) + 1
end
function base.getfenv(f)
  local target = resolve(f, "getfenv")
  if target == 0 then return G end
  if type(target) == "number" and not getinfo(target, "f") then argument(1, "getfenv", "invalid level") end
  local info = getinfo(target, "Sf")
  if info.source == HOST or info.what == "C" or not info.func then return G end
  local found = getfenv(info.func)
  return found == real and G or found
end
function base.setfenv(f, env)
  local target = resolve(f, "setfenv")
  if type(env) ~= "table" then argument(2, "setfenv", "table expected, got " .. (env == nil and "no value" or type(env))) end
  local info = target ~= 0 and getinfo(target, "Sf")
  if type(target) == "number" and target ~= 0 and not info then argument(1, "setfenv", "invalid level") end
  if not info or info.source == HOST or info.what == "C" or not info.func then
    raise("'setfenv' cannot change environment of given object")
  end
  setfenv(info.func, env)
  return info.func
end
for name, value in next, base do globals[name] = value end
globals._G = G

library("numbers")
for _, name in next, {"bit", "cjson", "cmsgpack", "struct"} do globals[name] = show(library(name)) end

-- Libraries of functions --------------------------------------------------------------------------------------------------------------

local loading, registered = nil, {}
local FLAGS = {["no-writes"] = 1, ["allow-oom"] = 2, ["allow-stale"] = 4, ["no-cluster"] = 8, ["allow-cross-slot-keys"] = 16}

local function flag_bits(flags)
  local bits, seen = 0, {}
  local i = 1
  while true do
    local flag = flags[i]
    if flag == nil then return bits end
    local bit = (type(flag) == "string" or type(flag) == "number") and FLAGS[lower(flag)]
    if not bit then return nil end
    if not seen[bit] then bits = bits + bit end
    seen[bit] = true
    i = i + 1
  end
end

local function named(given)
  if type(given) ~= "table" then
    return "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."
  end
  local name, callback, description, bits = nil, nil, nil, 0
  for key, value in next, given do
    local textual = type(value) == "string" or type(value) == "number"
    if type(key) ~= "string" and type(key) ~= "number" then
      return "named argument key given to redis.register_function is not a string"
    end
    local option = lower(key)
    if option == "function_name" then
      if not textual then return "function_name argument given to redis.register_function must be a string" end
      name = tostring(value)
    elseif option == "description" then
      if not textual then return "description argument given to redis.register_function must be a string" end
      description = tostring(value)
    elseif option == "callback" then
      if type(value) ~= "function" then return "callback argument given to redis.register_function must be a function" end
      callback = value
    elseif option == "flags" then
      if type(value) ~= "table" then return "flags argument to redis.register_function must be a table representing function flags" end
      bits = flag_bits(value)
      if not bits then return "unknown flag given" end
    else
      return "unknown argument given to redis.register_function"
    end
  end
  if not name then return "redis.register_function must get a function name argument" end
  if not callback then return "redis.register_function must get a callback argument" end
  return nil, name, callback, description, bits
end

local function register(...)
  local count = select("#", ...)
  if not loading then fail("redis.register_function can only be called on FUNCTION LOAD command") end
  if count < 1 or count > 2 then fail("wrong number of arguments to redis.register_function") end
  local problem, name, callback, description, bits
  if count == 1 then
    problem, name, callback, description, bits = named((...))
    if problem then fail(problem) end
  else
    name, callback = ...
    bits = 0
    if type(name) ~= "string" and type(name) ~= "number" then fail("first argument to redis.register_function must be a string") end
    name = tostring(name)
    if type(callback) ~= "function" then fail("second argument to redis.register_function must be a function") end
  end
  if not find(name, "^[%w_]+$") then
    fail("Library names can only contain letters, numbers, or underscores(_) and must be at least one character long")
  end
  if loading[name] then fail("Function already exists in the library") end
  loading[name] = {callback = callback, description = description, bits = bits}
  loading[#loading + 1] = name
end

local plain_redis = {register_function = register, log = redis.log, REDIS_VERSION = redis.REDIS_VERSION,
  REDIS_VERSION_NUM = redis.REDIS_VERSION_NUM, LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3}
setmetatable(plain_redis, {__index = nonexistent})
local at_load = {redis = show(plain_redis)}
setmetatable(at_load, {__index = nonexistent})
-- What a library's functions see: while it is loaded less than when they are called.
local function library_world()
  local meta = {__index = at_load, __newindex = readonly, __metatable = shown}
  local world = setmetatable({}, meta)
  shadows[world] = at_load
  return world, function()
    meta.__index = globals
    shadows[world] = globals
  end
end

-- The loop ------------------------------------------------------------------------------------------------------------------------------

local compiled, bodies = {}, {}

local function start_frame()
  pieces, filled, size = {}, 0, 0
end

local function answer_error(text, ignored)
  start_frame()
  put(ignored and "1" or "0")
  put(text)
  return "e"
end

-- The result of a call as a frame: its kind, in `pieces`.
local function call(f, name, protocol, ...)
  resp, told = 2, protocol
  local well, result = xpcall(f, explain)
  if not well then
    if type(result) ~= "table" then return answer_error("ERR Error running script: " .. tostring(result)) end
    if result[2] then return answer_error(result[1] .. " script: " .. name .. ", on " .. result[2] .. ".", result[3]) end
    return answer_error(result[1], result[3])
  end
  if type(result) == "table" and type(rawget(result, "err")) == "string" then
    return answer_error(one_line(rawget(result, "err")), rawget(result, "ignore_error_stats_update") == true)
  end
  start_frame()
  put_value(result, 1)
  return "r"
end

local operations = {}

function operations.C(_, sha, text)
  local made, problem = compile(text, "@user_script")
  if not made then return answer_error(problem) end
  compiled[sha], bodies[sha] = made, text
  start_frame()
  return "r"
end

function operations.E(protocol, sha, wire)
  local keys, at = parse(wire, 1)
  globals.KEYS, globals.ARGV = keys, (parse(wire, at))
  local script = compiled[sha]
  source_text, current_source = bodies[sha], "@user_script"
  setfenv(script, G)
  return call(script, sha, protocol)
end

function operations.B(_, name, text)
  loading = {}
  source_text, current_source = text, "@user_function"
  local world, open = library_world()
  local made, problem = parsed(text, "@user_function", world)
  if not made then
    loading = nil
    return answer_error("Error compiling function: " .. problem)
  end
  local well, result = pcall(made)
  local found = loading
  loading = nil
  open()
  if not well then
    local message = type(result) == "table" and rawget(result, "err") or not (type(result) == "table") and "ERR " .. tostring(result)
    return answer_error("Error registering functions: " .. tostring(message or "ERR unknown error"))
  end
  registered[name] = found
  bodies[name] = text
  start_frame()
  put("*" .. #found * 3 .. "\r\n")
  for i = 1, #found do
    local entry = found[found[i]]
    put_bulk(found[i])
    if entry.description then put_bulk(entry.description) else put("$-1\r\n") end
    put(":" .. entry.bits .. "\r\n")
  end
  return "r"
end

function operations.F(protocol, name, wire)
  local library = sub(name, 1, find(name, ".", 1, true) - 1)
  name = sub(name, #library + 2)
  local keys, at = parse(wire, 1)
  local args = parse(wire, at)
  local callback = registered[library][name].callback
  globals.KEYS, globals.ARGV = nil, nil
  source_text, current_source = bodies[library], "@user_function"
  return call(function()
    local result = callback(keys, args)
    return result
  end, name, protocol)
end

for name in next, real do real[name] = nil end
setfenv(1, G)

local function serve()
  exchanging = true
  local wire = receive()
  local stop = find(wire, "\n", 1, true)
  local kind = operations[sub(wire, 1, 1)](tonumber(sub(wire, 2, 2)), sub(wire, 3, stop - 1), sub(wire, stop + 1))
  globals.KEYS, globals.ARGV, source_text = nil, nil, nil
  host.reset_cjson()
  wire = nil
  put(format("%08x", collectgarbage("count")))
  return kind
end

while true do
  local well, kind = pcall(serve)
  if not well then
    loading = nil
    kind = answer_error("ERR Error running script: " .. tostring(kind))
    put("ffffffff")
  end
  begin()
  send(kind, pieces, size)
  exchanging = false
  pieces = nil
end
