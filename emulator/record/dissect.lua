-- What reads the descriptions below it. Lua 5.2 to 5.4: no integer division, no bit operators.
-- Invariant: a packet of any bytes is dissected or flagged by skyloom.malformed, and never an error of Lua.

local MOST_ITEMS = 20000 -- in the tree of one packet; entries after these are checked and not shown
local LARGEST_OPAQUE = 1048576 -- a body above this many bytes is not put together from its segments

local skyloom = Proto("skyloom", "Skyloom")
local malformed = ProtoExpert.new("skyloom.malformed", "Malformed", expert.group.MALFORMED, expert.severity.ERROR)
skyloom.experts = { malformed }
local tcp_stream = Field.new("tcp.stream")
local seen = {} -- by number of the TCP stream: the protocol that began it
function skyloom.init() seen = {} end

local function title_of(name)
  local words = name:gsub("_", " ")
  return words:sub(1, 1):upper() .. words:sub(2)
end

-- Registering: each part of each message gets its field; equal names share one.

local INTEGERS = { [1] = "int8", [2] = "int16", [4] = "int32", [8] = "int64" }

local function field(proto, name, make, ...)
  local known = proto.known[name]
  if not known then
    local alone = proto.name .. "." -- the message of a protocol of one: skyloom.probe.sequence
    local full = name:sub(1, #alone) == alone and name or alone .. name
    known = make("skyloom." .. full, ...)
    proto.known[name] = known
    proto.fields[#proto.fields + 1] = known
  end
  return known
end

local register

local function register_all(proto, path, parts)
  for _, part in ipairs(parts) do register(proto, path .. "." .. part.name, part) end
end

function register(proto, path, part)
  local title, about = title_of(part.name), part.about
  part.path = path
  if part.kind == "integer" then
    local make = ProtoField[(part.signed and "" or "u") .. INTEGERS[part.size]]
    part.field = field(proto, path, make, title, base.DEC, part.names, nil, about)
  elseif part.kind == "octets" or part.kind == "zeros" or part.kind == "rest" then
    part.field = field(proto, path, ProtoField.bytes, title, nil, about)
  elseif part.kind == "text" then
    if part.shown == "text" then
      part.field = field(proto, path, ProtoField.string, title, nil, about)
    else
      part.field = field(proto, path, ProtoField.bytes, title, nil, about)
    end
    if part.holds then register(proto, path, part.holds) end
  elseif part.kind == "row" then
    register_all(proto, path, part.parts)
  elseif part.kind == "many" then
    part.counted = field(proto, path .. ".count", ProtoField.uint32, title .. ", count", base.DEC, nil, nil, about)
    register(proto, path, part.of)
  elseif part.kind == "until" then
    register(proto, path .. "." .. part.of.name, part.of)
  elseif part.kind == "nested" then
    register_all(proto, part.struct, part.parts)
    part.also_fields = {}
    for _, inner in ipairs(part.parts) do
      for _, name in ipairs(part.also) do
        if inner.name == name then
          local copy = {}
          for key, value in pairs(inner) do copy[key] = value end
          register(proto, path:match("^[^.]+") .. "." .. name, copy)
          part.also_fields[name] = copy.field
        end
      end
    end
  elseif part.kind == "choice" then
    for _, message in ipairs(part.messages) do register_all(proto, message.name, message.parts) end
  end
end

-- Walking: from `at` to `stop` of S.tvb. What is wrong is raised as a table and caught once, in `message_at`.

local function wrong(part, text) error({ text = (part and part.path .. ": " or "") .. text }, 0) end

local function need(S, part, at, size, stop)
  if at + size <= stop then return end
  if S.cut and stop >= S.size then error({ cut = true }, 0) end
  wrong(part, (stop - at) .. " bytes left; expected " .. size)
end

local function show(S, tree, ...)
  S.items = S.items + 1
  if S.items > MOST_ITEMS then return nil end
  return tree and tree:add(...)
end

local function hex(raw)
  return (raw:gsub(".", function(byte) return string.format("%02x", byte:byte()) end))
end

local walk

local function check_rules(rules, values, path)
  for _, rule in ipairs(rules or {}) do
    local left, right = 0, 0
    for _, name in ipairs(rule.left) do left = left + values[name].number end
    for _, name in ipairs(rule.right) do right = right + values[name].number end
    local holds = { ["<="] = left <= right, [">="] = left >= right, ["=="] = left == right, ["<"] = left < right,
                    [">"] = left > right }
    if not holds[rule.relation] then
      wrong(nil, string.format("%s: %d and %d; expected %s", path, left, right, rule.text))
    end
  end
end

local function walk_all(S, tree, parts, at, stop, values)
  for _, part in ipairs(parts) do at = walk(S, tree, part, at, stop, values) end
  return at
end

local function greater(raw, before) -- byte by byte, as strings are compared by the locale
  for i = 1, #raw do
    local a, b = raw:byte(i), before:byte(i)
    if a ~= b then return a > b end
  end
  return false
end

local function fill(summary, values)
  return (summary:gsub("{([%w_]+)}", function(name) return values[name] and values[name].text or "?" end))
end

local function fits(S, message, at, stop) -- true, false, or nil where there are too few bytes to tell
  for _, mark in ipairs(message.marks) do
    local offset, bytes = mark[1], mark[2]
    local there = math.min(#bytes, stop - at - offset)
    if there > 0 and S.tvb:raw(at + offset, there) ~= bytes:sub(1, there) then return false end
    if there < #bytes then return nil end
  end
  return true
end

local function choose(S, messages, at, stop)
  local undecided = false
  for _, message in ipairs(messages) do
    local fit = fits(S, message, at, stop)
    if fit then return message end
    undecided = undecided or fit == nil
  end
  return nil, undecided
end

local function unknown(S, messages, at, stop)
  local mark, allowed = messages[1].marks[1], {}
  for _, message in ipairs(messages) do
    allowed[#allowed + 1] = hex(message.marks[1][2])
  end
  local there = math.max(0, math.min(#mark[2], stop - at - mark[1]))
  local found = there > 0 and hex(S.tvb:raw(at + mark[1], there)) or "no bytes"
  return found .. " where the kind of a message stands; expected one of " .. table.concat(allowed, ", ")
end

local function walk_message(S, tree, message, at, stop)
  local values = {}
  if message.most > 0 and stop - at > message.most then
    wrong(nil, message.name .. " of " .. (stop - at) .. " bytes; expected at most " .. message.most)
  end
  local reached = walk_all(S, tree, message.parts, at, stop, values)
  check_rules(message.rules, values, message.name)
  if reached < stop then
    if S.cut and stop >= S.size then error({ cut = true }, 0) end
    wrong(nil, message.name .. ": " .. (stop - reached) .. " bytes left over; expected none")
  end
  return message.summary ~= "" and fill(message.summary, values) or title_of(message.name)
end

local WALK = {}

function WALK.integer(S, tree, part, at, stop, values)
  need(S, part, at, part.size, stop)
  local range = S.tvb(at, part.size)
  show(S, tree, part.field, range)
  local number
  if part.size == 8 then
    local wide = part.signed and range:int64() or range:uint64()
    number = wide:tonumber()
    values[part.name] = { number = number, text = tostring(wide), range = range }
  else
    number = part.signed and range:int() or range:uint()
    values[part.name] = { number = number, text = part.names and part.names[number] or tostring(number), range = range }
  end
  if part.least and number < part.least or part.most and number > part.most then
    wrong(part, "number " .. values[part.name].text .. "; expected " .. part.expected)
  end
  return at + part.size
end

function WALK.octets(S, tree, part, at, stop, values)
  need(S, part, at, part.size, stop)
  local range = S.tvb(at, part.size)
  show(S, tree, part.field, range)
  values[part.name] = { text = hex(S.tvb:raw(at, math.min(part.size, 4))), range = range }
  if part.equals and S.tvb:raw(at, part.size) ~= part.equals then
    wrong(part, hex(S.tvb:raw(at, part.size)) .. "; expected " .. hex(part.equals))
  end
  return at + part.size
end

local function all_zero(S, at, stop) return not S.tvb:raw(at, stop - at):find("[^%z]") end

function WALK.zeros(S, tree, part, at, stop)
  need(S, part, at, part.size, stop)
  show(S, tree, part.field, S.tvb(at, part.size))
  if not all_zero(S, at, at + part.size) then wrong(part, "not 0; expected " .. part.size .. " zero bytes") end
  return at + part.size
end

function WALK.rest(S, tree, part, at, stop, values)
  if stop > at then
    show(S, tree, part.field, S.tvb(at, stop - at))
    if part.zero and not all_zero(S, at, stop) then wrong(part, "bytes that are not 0; expected zeros") end
  end
  values[part.name] = { text = (stop - at) .. " bytes" }
  return stop
end

local function big_endian(S, at, size)
  return S.tvb(at, size):uint()
end

function WALK.text(S, tree, part, at, stop, values)
  need(S, part, at, part.prefix, stop)
  local begin, length = at + part.prefix, big_endian(S, at, part.prefix)
  if length < part.least or length > part.most then wrong(part, length .. " bytes; expected " .. part.expected) end
  need(S, part, begin, length, stop)
  local item = show(S, tree, part.field, S.tvb(begin, length))
  local text = part.shown == "text" and S.tvb:raw(begin, length):gsub("[^\32-\126]", "?") or length .. " bytes"
  values[part.name] = { text = text }
  if part.holds and length > 0 then
    local reached = walk(S, item, part.holds, begin, begin + length, values)
    if reached < begin + length then
      wrong(part, (begin + length - reached) .. " bytes left over; expected none")
    end
  end
  return begin + length
end

function WALK.row(S, tree, part, at, stop)
  need(S, part, at, part.size, stop)
  local item, values = show(S, tree, S.tvb(at, part.size), title_of(part.name)), {}
  walk_all(S, item, part.parts, at, at + part.size, values)
  local words = {}
  for _, inner in ipairs(part.parts) do
    if values[inner.name] then words[#words + 1] = inner.name:gsub("_", " ") .. " " .. values[inner.name].text end
  end
  if item then item:append_text(": " .. table.concat(words, ", ")) end
  check_rules(part.rules, values, part.path)
  return at + part.size
end

function WALK.many(S, tree, part, at, stop, values)
  need(S, part, at, part.prefix, stop)
  local begin, count = at + part.prefix, big_endian(S, at, part.prefix)
  local item = show(S, tree, S.tvb(at, part.prefix), title_of(part.name) .. ": " .. count)
  show(S, item, part.counted, S.tvb(at, part.prefix))
  values[part.name] = { text = tostring(count) }
  if count > part.most then wrong(part, count .. " entries; expected at most " .. part.most) end
  if part.of.size then need(S, part, begin, count * part.of.size, stop) end
  local before
  at = begin
  for _ = 1, count do
    local first = at
    at = walk(S, item, part.of, at, stop, {})
    if part.rising then
      local key = S.tvb:raw(first, part.rising)
      if before and not greater(key, before) then wrong(part, "out of order; expected each once, rising") end
      before = key
    end
  end
  if item then item:set_len(at - begin + part.prefix) end
  return at
end

WALK["until"] = function(S, tree, part, at, stop)
  while at < stop do at = walk(S, tree, part.of, at, stop, {}) end
  return at
end

function WALK.nested(S, tree, part, at, stop, values)
  local item, inner = show(S, tree, S.tvb(at, 0), title_of(part.struct)), {}
  local reached = walk_all(S, item, part.parts, at, stop, inner)
  check_rules(part.rules, inner, part.struct)
  if item then item:set_len(reached - at) end
  for _, name in ipairs(part.also) do
    values[name] = inner[name]
    local shown = show(S, tree, part.also_fields[name], inner[name].range)
    if shown then shown:set_generated() end
  end
  return reached
end

function WALK.choice(S, tree, part, at, stop, values)
  local message = choose(S, part.messages, at, stop)
  if not message then
    if S.cut and stop >= S.size then error({ cut = true }, 0) end
    wrong(part, unknown(S, part.messages, at, stop))
  end
  local item = show(S, tree, S.tvb(at, stop - at), title_of(message.name))
  values[part.name] = { text = walk_message(S, item, message, at, stop) }
  return stop
end

function walk(S, tree, part, at, stop, values) return WALK[part.kind](S, tree, part, at, stop, values) end

-- Packets.

local function say(S, text)
  local columns, private = S.pinfo.cols, S.pinfo.private
  if private.skyloom then
    columns.info:append("; " .. text)
  else
    columns.protocol = S.proto.short
    columns.info:set(text)
    private.skyloom = "yes"
  end
end

local function flag(S, tree, text)
  tree:add_proto_expert_info(malformed, text)
  say(S, "malformed " .. text)
end

local function message_at(S, root, message, at, stop)
  local tree = root:add(S.proto.handle, S.tvb(at, stop - at))
  S.items = 0
  local good, result = pcall(walk_message, S, tree, message, at, stop)
  if good then
    if S.cut and stop >= S.size then result = result .. " (cut)" end
    tree:append_text(", " .. result)
    say(S, result)
  elseif type(result) ~= "table" then
    error(result, 0) -- a mistake of this file, not of the packet
  elseif result.cut then
    tree:append_text(", " .. title_of(message.name) .. ", cut by the capture")
    say(S, title_of(message.name) .. " (cut)")
  else
    flag(S, tree, result.text)
  end
end

local function reject(S, root, at)
  flag(S, root:add(S.proto.handle, S.tvb(at)), unknown(S, S.proto.messages, at, S.size))
end

local function state(proto, tvb, pinfo)
  return { proto = proto, tvb = tvb, pinfo = pinfo, size = tvb:len(), cut = tvb:len() < tvb:reported_len(), items = 0 }
end

local function datagram(proto, tvb, pinfo, root)
  local S = state(proto, tvb, pinfo)
  local message = choose(S, proto.messages, 0, S.size)
  if message then message_at(S, root, message, 0, S.size) else reject(S, root, 0) end
  return S.size
end

local function wait(S, at, missing)
  if S.cut or S.pinfo.can_desegment == 0 then return false end
  S.pinfo.desegment_offset = at
  S.pinfo.desegment_len = missing
  return true
end

local function message_size(S, message, at)
  -- How long it says it is: bytes, or nil where the limits of its length are broken, or there are too few to tell.
  local place = at
  for _, part in ipairs(message.parts) do
    if part.beyond then
      local length = big_endian(S, place, part.size)
      if part.least and length < part.least or part.most and length > part.most then return nil end
      return place - at + part.size + part.beyond + length
    end
    if not part.size then return nil end
    place = place + part.size
  end
  return place - at
end

local function opaque(S, root, at)
  local tree = root:add(S.proto.handle, S.tvb(at))
  tree:add(S.proto.opaque_field, S.tvb(at))
  tree:append_text(", " .. S.proto.opaque .. ", " .. (S.size - at) .. " bytes")
  say(S, title_of(S.proto.opaque) .. ", " .. (S.size - at) .. " bytes")
end

local function stream(proto, tvb, pinfo, root)
  local S, at = state(proto, tvb, pinfo), 0
  local id = tcp_stream()
  if id then seen[id.value] = proto.name end
  while at < S.size do
    local message, undecided = choose(S, proto.messages, at, S.size)
    local left = S.size - at
    if not message and undecided then
      if wait(S, at, DESEGMENT_ONE_MORE_SEGMENT) then return S.size end
      reject(S, root, at)
      return S.size
    elseif not message then
      if proto.opaque ~= "" then opaque(S, root, at) else reject(S, root, at) end
      return S.size
    elseif left < message.fixed then
      if not wait(S, at, DESEGMENT_ONE_MORE_SEGMENT) then message_at(S, root, message, at, S.size) end
      return S.size
    end
    local size = message_size(S, message, at)
    if not size then -- its length is past the limits: nothing after it can be found
      message_at(S, root, message, at, S.size)
      return S.size
    end
    if left < size and proto.opaque ~= "" and size > LARGEST_OPAQUE then
      message_at(S, root, message, at, S.size)
      return S.size
    elseif left < size then
      if not wait(S, at, size - left) then message_at(S, root, message, at, S.size) end
      return S.size
    end
    message_at(S, root, message, at, at + size)
    at = at + size
  end
  return S.size
end

function dissector(proto)
  local handle = Proto("skyloom." .. proto.name, proto.title)
  proto.handle, proto.known, proto.fields = handle, {}, {}
  proto.short = proto.name:upper()
  for _, message in ipairs(proto.messages) do register_all(proto, message.name, message.parts) end
  if proto.opaque ~= "" then
    proto.opaque_field = field(proto, "opaque", ProtoField.bytes, title_of(proto.opaque))
  end
  handle.fields = proto.fields
  local layer = proto.transport == "udp" and "udp" or "tcp"
  local ports = DissectorTable.get(layer .. ".port")
  local before = {} -- whoever had the port: it still gets what is not ours
  local dissect = layer == "udp" and datagram or stream

  local function ours(tvb)
    for _, mark in ipairs(proto.heuristics) do
      local offset, bytes = mark[1], mark[2]
      if tvb:len() >= offset + #bytes and tvb:raw(offset, #bytes) == bytes then return true end
    end
    local id = layer == "tcp" and tcp_stream()
    return id and seen[id.value] == proto.name
  end
  local function guess(tvb, pinfo, root)
    if not ours(tvb) then return false end
    dissect(proto, tvb, pinfo, root)
    return true
  end
  function handle.dissector(tvb, pinfo, root)
    local other = before[pinfo.match_uint] or before[pinfo.dst_port] or before[pinfo.src_port]
    if other and not ours(tvb) then return other:call(tvb, pinfo, root) end
    return dissect(proto, tvb, pinfo, root)
  end

  local function take(numbers)
    for _, port in ipairs(numbers) do
      before[port] = ports:get_dissector(port)
      ports:add(port, handle)
    end
  end
  if proto.transport == "tls" then
    local tls, inside = Dissector.get("tls"), DissectorTable.get("tls.port")
    for _, port in ipairs(proto.ports) do
      ports:add(port, tls)
      inside:add(port, handle)
    end
    handle:register_heuristic("tls", guess)
    take(proto.clear_ports)
  else
    take(proto.ports)
  end
  if #proto.heuristics > 0 then handle:register_heuristic(layer, guess) end
end
