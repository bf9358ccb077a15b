-- The Redis of the simulation: its data are Lua tables, and redis.call does to them what the
-- commands do that lib/state/*.lua uses. sim_redis.c loads this file first, then the library.
-- A command that is not here is an error, as in a Redis that does not know it.

-- Compiled traces would lie outside of the arena that a world begins with.
if jit then
    jit.off()
end

local data, ends = {}, {} -- Key -> {kind, ...}; key -> end of its life (ms)
local time_us = 0
local heard = {}          -- What was published since host.take_heard
local starts = 0          -- Of this Redis
local roll = 0            -- State of the generator behind SRANDMEMBER

local COMMANDS = {}
local WRONG_KIND = 'WRONGTYPE Operation against a key holding the wrong kind of value'

local function refuse(text)
    error(text, 0)
end

local function drop(key)
    data[key], ends[key] = nil, nil
end

-- The value of a key, which must be of this kind, or nil.
local function find(key, kind)
    local value = data[key]
    if not value then
        return nil
    end
    local stop = ends[key]
    if stop and stop * 1000 <= time_us then
        drop(key)
        return nil
    end
    return (not kind or value.kind == kind) and value or refuse(WRONG_KIND)
end

local function make(key, kind, fresh)
    local value = find(key, kind)
    if not value then
        fresh.kind = kind
        data[key], value = fresh, fresh
    end
    return value
end

local function whole(text)
    local number = tonumber(text)
    if not number or number ~= math.floor(number) then
        refuse('ERR value is not an integer or out of range')
    end
    return number
end

-- Most scores and numbers are told again and again.
local texts = {}

local function text_of(number)
    local text = texts[number]
    if not text then
        local is_whole = number == math.floor(number) and math.abs(number) < 1e15
        text = string.format(is_whole and '%d' or '%.17g', number)
        texts[number] = text
    end
    return text
end

-- First and last index, from 1, of a range that Redis counts from 0 or from the end.
local function range(first, last, count)
    first, last = whole(first), whole(last)
    first = first < 0 and math.max(first + count, 0) or first
    last = last < 0 and last + count or last
    return first + 1, math.min(last, count - 1) + 1
end

-- ---- Keys

function COMMANDS.DEL(...)
    local count = 0
    for i = 1, select('#', ...) do
        local key = select(i, ...)
        if find(key) then
            drop(key)
            count = count + 1
        end
    end
    return count
end

function COMMANDS.EXISTS(key)
    return find(key) and 1 or 0
end

function COMMANDS.EXPIRE(key, seconds)
    local life_ms = whole(seconds) * 1000
    if not find(key) then
        return 0
    end
    ends[key] = time_us / 1000 + life_ms
    return 1
end

function COMMANDS.PERSIST(key)
    if not find(key) or not ends[key] then
        return 0
    end
    ends[key] = nil
    return 1
end

function COMMANDS.TIME()
    return { text_of(math.floor(time_us / 1000000)), text_of(time_us % 1000000) }
end

function COMMANDS.PUBLISH(channel, message)
    heard[#heard + 1] = { channel, message }
    return 0
end

-- The number of its start alone; nothing that the doctor asks for is played.
function COMMANDS.INFO()
    return 'run_id:' .. string.format('%040x', starts) .. '\r\n'
end

-- ---- Strings

function COMMANDS.GET(key)
    local value = find(key, 'string')
    return value and value.text or false
end

function COMMANDS.SET(key, text, ...)
    local options = { ... }
    local life, is_new_only
    local i = 1
    while options[i] do
        if options[i] == 'NX' then
            is_new_only = true
        elseif options[i] == 'EX' then
            i = i + 1
            life = whole(options[i])
        else
            refuse('ERR syntax error')
        end
        i = i + 1
    end
    if is_new_only and find(key) then
        return false
    end
    data[key] = { kind = 'string', text = text }
    ends[key] = life and time_us / 1000 + life * 1000 or nil
    return { ok = 'OK' }
end

function COMMANDS.INCR(key)
    local value = make(key, 'string', { text = '0' })
    value.text = text_of(whole(value.text) + 1)
    return tonumber(value.text)
end

-- ---- Hashes

-- A value without members is no value.
local function tidy(key, value)
    if value.count == 0 then
        drop(key)
    end
end

function COMMANDS.HSET(key, ...)
    local words, added = { ... }, 0
    if #words == 0 or #words % 2 == 1 then
        refuse("ERR wrong number of arguments for 'hset' command")
    end
    local hash = make(key, 'hash', { fields = {}, count = 0 })
    for i = 1, #words, 2 do
        added = added + (hash.fields[words[i]] and 0 or 1)
        hash.fields[words[i]] = words[i + 1]
    end
    hash.count = hash.count + added
    return added
end

function COMMANDS.HSETNX(key, field, text)
    local hash = find(key, 'hash')
    if hash and hash.fields[field] then
        return 0
    end
    return COMMANDS.HSET(key, field, text)
end

function COMMANDS.HGET(key, field)
    local hash = find(key, 'hash')
    return hash and hash.fields[field] or false
end

function COMMANDS.HMGET(key, ...)
    local hash, out = find(key, 'hash'), {}
    for i = 1, select('#', ...) do
        out[i] = hash and hash.fields[select(i, ...)] or false
    end
    return out
end

function COMMANDS.HEXISTS(key, field)
    local hash = find(key, 'hash')
    return hash and hash.fields[field] and 1 or 0
end

function COMMANDS.HGETALL(key)
    local hash, out, n = find(key, 'hash'), {}, 0
    for field, text in pairs(hash and hash.fields or {}) do
        out[n + 1], out[n + 2] = field, text
        n = n + 2
    end
    return out
end

function COMMANDS.HKEYS(key)
    local hash, out = find(key, 'hash'), {}
    for field in pairs(hash and hash.fields or {}) do
        out[#out + 1] = field
    end
    table.sort(out)
    return out
end

function COMMANDS.HDEL(key, ...)
    local hash, count = find(key, 'hash'), 0
    if not hash then
        return 0
    end
    for i = 1, select('#', ...) do
        local field = select(i, ...)
        count = count + (hash.fields[field] and 1 or 0)
        hash.fields[field] = nil
    end
    hash.count = hash.count - count
    tidy(key, hash)
    return count
end

function COMMANDS.HINCRBY(key, field, by)
    local hash = find(key, 'hash')
    local text = hash and hash.fields[field] or '0'
    if not string.find(text, '^-?%d+$') then
        refuse('ERR hash value is not an integer')
    end
    local number = tonumber(text) + whole(by)
    COMMANDS.HSET(key, field, text_of(number))
    return number
end

-- ---- Sets

function COMMANDS.SADD(key, ...)
    local set, added = make(key, 'set', { members = {}, count = 0 }), 0
    for i = 1, select('#', ...) do
        local member = select(i, ...)
        added = added + (set.members[member] and 0 or 1)
        set.members[member] = true
    end
    set.count = set.count + added
    return added
end

function COMMANDS.SREM(key, ...)
    local set, count = find(key, 'set'), 0
    if not set then
        return 0
    end
    for i = 1, select('#', ...) do
        local member = select(i, ...)
        count = count + (set.members[member] and 1 or 0)
        set.members[member] = nil
    end
    set.count = set.count - count
    tidy(key, set)
    return count
end

function COMMANDS.SCARD(key)
    local set = find(key, 'set')
    return set and set.count or 0
end

function COMMANDS.SISMEMBER(key, member)
    local set = find(key, 'set')
    return set and set.members[member] and 1 or 0
end

function COMMANDS.SMEMBERS(key)
    local set, out = find(key, 'set'), {}
    for member in pairs(set and set.members or {}) do
        out[#out + 1] = member
    end
    table.sort(out)
    return out
end

-- The members in an order of chance, at most so many.
function COMMANDS.SRANDMEMBER(key, count)
    local all, out = COMMANDS.SMEMBERS(key), {}
    for i = 1, math.min(whole(count), #all) do
        roll = (roll * 16807 + 12345) % 2147483647
        local at = i + roll % (#all - i + 1)
        all[i], all[at] = all[at], all[i]
        out[i] = all[i]
    end
    return out
end

-- ---- Sorted sets

-- Index of the first member that does not stand before this one.
local function seat_of(zset, member, score)
    local scores, list = zset.scores, zset.list
    local low, high = 1, #list + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        local other = list[middle]
        if scores[other] < score or scores[other] == score and other < member then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

-- Give a member a score, or none; the list stays in its order.
local function seat(zset, member, score)
    local old = zset.scores[member]
    if zset.list and old then
        table.remove(zset.list, seat_of(zset, member, old))
    end
    zset.scores[member] = nil
    if zset.list and score then
        table.insert(zset.list, seat_of(zset, member, score), member)
    end
    zset.scores[member] = score
end

-- The members by score, then by name.
local function sorted(zset)
    if zset and not zset.list then
        local scores, list = zset.scores, {}
        for member in pairs(scores) do
            list[#list + 1] = member
        end
        table.sort(list, function(a, b)
            return scores[a] < scores[b] or scores[a] == scores[b] and a < b
        end)
        zset.list = list
    end
    return zset and zset.list or {}
end

function COMMANDS.ZADD(key, ...)
    local words, added = { ... }, 0
    local is_rising = words[1] == 'GT'
    if is_rising then
        table.remove(words, 1)
    end
    for i = 1, #words, 2 do
        if not tonumber(words[i]) then
            refuse('ERR value is not a valid float')
        end
    end
    local zset = find(key, 'zset') or make(key, 'zset', { scores = {}, count = 0 })
    for i = 1, #words, 2 do
        local score = tonumber(words[i])
        local old = zset.scores[words[i + 1]]
        added = added + (old and 0 or 1)
        if not old or (is_rising and score > old) or (not is_rising and score ~= old) then
            seat(zset, words[i + 1], score)
        end
    end
    zset.count = zset.count + added
    return added
end

local function zset_remove(key, zset, members)
    local count = 0
    for _, member in ipairs(members) do
        if zset.scores[member] then
            seat(zset, member, nil)
            count = count + 1
        end
    end
    zset.count = zset.count - count
    tidy(key, zset)
    return count
end

function COMMANDS.ZREM(key, ...)
    local zset = find(key, 'zset')
    return zset and zset_remove(key, zset, { ... }) or 0
end

function COMMANDS.ZCARD(key)
    local zset = find(key, 'zset')
    return zset and zset.count or 0
end

function COMMANDS.ZSCORE(key, member)
    local zset = find(key, 'zset')
    local score = zset and zset.scores[member]
    return score and text_of(score) or false
end

-- A bound of scores: its number, and whether it is left out.
local function bound(text)
    local is_open = string.sub(text, 1, 1) == '('
    local word = is_open and string.sub(text, 2) or text
    local number = word == '-inf' and -math.huge or (word == '+inf' or word == 'inf')
        and math.huge or tonumber(word)
    return number or refuse('ERR min or max is not a float'), is_open
end

local function by_score(key, min, max)
    local low, low_open = bound(min)
    local high, high_open = bound(max)
    local zset, out = find(key, 'zset'), {}
    for _, member in ipairs(sorted(zset)) do
        local score = zset.scores[member]
        if (score > low or score == low and not low_open)
            and (score < high or score == high and not high_open) then
            out[#out + 1] = member
        end
    end
    return out
end

local function limit(list, word, offset, count)
    if not word then
        return list
    end
    if word ~= 'LIMIT' then
        refuse('ERR syntax error')
    end
    local out = {}
    for i = whole(offset) + 1, math.min(#list, whole(offset) + whole(count)) do
        out[#out + 1] = list[i]
    end
    return out
end

function COMMANDS.ZCOUNT(key, min, max)
    return #by_score(key, min, max)
end

local function with_scores(zset, list)
    local out = {}
    for i, member in ipairs(list) do
        out[2 * i - 1], out[2 * i] = member, text_of(zset.scores[member])
    end
    return out
end

function COMMANDS.ZRANGEBYSCORE(key, min, max, word, ...)
    local list = by_score(key, min, max)
    if word == 'WITHSCORES' then
        return with_scores(find(key, 'zset'), list)
    end
    return limit(list, word, ...)
end

function COMMANDS.ZREMRANGEBYSCORE(key, min, max)
    local members = by_score(key, min, max)
    return #members > 0 and zset_remove(key, find(key, 'zset'), members) or 0
end

function COMMANDS.ZRANGEBYLEX(key, min, max, ...)
    local out = {}
    local low, from = string.sub(min, 1, 1), string.sub(min, 2)
    local high, till = string.sub(max, 1, 1), string.sub(max, 2)
    if not string.find(low, '[%-%[(]') or not string.find(high, '[+%[(]') then
        refuse('ERR min or max not valid string range item')
    end
    for _, member in ipairs(sorted(find(key, 'zset'))) do
        local is_above = low == '-' or member > from or low == '[' and member == from
        local is_below = high == '+' or member < till or high == '[' and member == till
        if is_above and is_below then
            out[#out + 1] = member
        end
    end
    return limit(out, ...)
end

function COMMANDS.ZRANGE(key, first, last, word)
    local zset, out = find(key, 'zset'), {}
    local list = sorted(zset)
    local from, to = range(first, last, #list)
    for i = from, to do
        out[#out + 1] = list[i]
    end
    return word and with_scores(zset, out) or out
end

function COMMANDS.ZRANK(key, member)
    for i, name in ipairs(sorted(find(key, 'zset'))) do
        if name == member then
            return i - 1
        end
    end
    return false
end

function COMMANDS.ZREMRANGEBYRANK(key, first, last)
    local members = COMMANDS.ZRANGE(key, first, last)
    return #members > 0 and zset_remove(key, find(key, 'zset'), members) or 0
end

function COMMANDS.ZREVRANGE(key, first, last)
    local list, out = sorted(find(key, 'zset')), {}
    local from, to = range(first, last, #list)
    for i = from, to do
        out[#out + 1] = list[#list + 1 - i]
    end
    return out
end

-- ---- Lists

function COMMANDS.RPUSH(key, ...)
    local list = make(key, 'list', { items = {} })
    for i = 1, select('#', ...) do
        list.items[#list.items + 1] = select(i, ...)
    end
    return #list.items
end

function COMMANDS.LPUSH(key, ...)
    local list = make(key, 'list', { items = {} })
    for i = 1, select('#', ...) do
        table.insert(list.items, 1, (select(i, ...)))
    end
    return #list.items
end

function COMMANDS.LPOP(key)
    local list = find(key, 'list')
    local item = list and table.remove(list.items, 1)
    if list and #list.items == 0 then
        drop(key)
    end
    return item or false
end

function COMMANDS.LLEN(key)
    local list = find(key, 'list')
    return list and #list.items or 0
end

function COMMANDS.LRANGE(key, first, last)
    local list = find(key, 'list')
    local items, out = list and list.items or {}, {}
    local from, to = range(first, last, #items)
    for i = from, to do
        out[#out + 1] = items[i]
    end
    return out
end

function COMMANDS.LTRIM(key, first, last)
    local items = COMMANDS.LRANGE(key, first, last)
    if #items == 0 then
        drop(key)
    else
        find(key, 'list').items = items
    end
    return { ok = 'OK' }
end

-- ---- Streams

local ids = {} -- Text of a whole id -> its parts

local function id_parts(text, missing)
    local known = ids[text]
    if known then
        return known[1], known[2]
    end
    local ms, n = string.match(text, '^(%d+)%-(%d+)$')
    if ms then
        ids[text] = { tonumber(ms), tonumber(n) }
    end
    return tonumber(ms or text) or refuse('ERR Invalid stream ID specified as stream '
        .. 'command argument'), tonumber(n) or missing
end

-- Only as the library asks for it: a new id.
function COMMANDS.XADD(key, id, ...)
    if id ~= '*' or select('#', ...) % 2 == 1 then
        refuse('ERR syntax error')
    end
    local stream = make(key, 'stream', { entries = {}, ms = 0, n = 0 })
    local ms = math.floor(time_us / 1000)
    if ms > stream.ms then
        stream.ms, stream.n = ms, 0
    else
        stream.n = stream.n + 1 -- Also when the clock was put back
    end
    local name = text_of(stream.ms) .. '-' .. text_of(stream.n)
    stream.entries[#stream.entries + 1] = { stream.ms, stream.n, { ... }, name }
    return name
end

function COMMANDS.XLEN(key)
    local stream = find(key, 'stream')
    return stream and #stream.entries or 0
end

local function show_entry(entry)
    return { entry[4], { unpack(entry[3]) } }
end

-- Number of the first entry at or behind an id.
local function position(entries, ms, n)
    local low, high = 1, #entries + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        local entry = entries[middle]
        if entry[1] < ms or entry[1] == ms and entry[2] < n then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

local function stream_range(key, from, to)
    local stream = find(key, 'stream')
    local entries = stream and stream.entries or {}
    local is_open = string.sub(from, 1, 1) == '('
    local first, last = 1, #entries
    if from ~= '-' then
        local ms, n = id_parts(is_open and string.sub(from, 2) or from, 0)
        first = position(entries, ms, n + (is_open and 1 or 0))
    end
    if to ~= '+' then
        local ms, n = id_parts(to, math.huge)
        last = position(entries, ms, n + 1) - 1
    end
    return entries, first, last
end

-- Only as the library asks for it.
function COMMANDS.XTRIM(key, word, id)
    if word ~= 'MINID' then
        refuse('ERR syntax error')
    end
    local stream = find(key, 'stream')
    local first = stream and position(stream.entries, id_parts(id, 0)) or 1
    local left = {}
    for i = first, stream and #stream.entries or 0 do
        left[#left + 1] = stream.entries[i]
    end
    if stream then
        stream.entries = left
    end
    return first - 1
end

function COMMANDS.XRANGE(key, from, to, word, count)
    local entries, first, last = stream_range(key, from, to)
    local out = {}
    for i = first, word and math.min(last, first + whole(count) - 1) or last do
        out[#out + 1] = show_entry(entries[i])
    end
    return out
end

function COMMANDS.XREVRANGE(key, to, from, _, count)
    local entries, first, last = stream_range(key, from, to)
    local out = {}
    for i = last, math.max(first, last - whole(count) + 1), -1 do
        out[#out + 1] = show_entry(entries[i])
    end
    return out
end

-- ---- What a function sees of Redis

redis = {}
local functions = {}

local function word(value)
    return type(value) == 'string' and value or type(value) == 'number' and text_of(value)
        or refuse('ERR Lua redis lib command arguments must be strings or integers')
end

-- Most calls are short, and need no table.
function redis.call(name, ...)
    local command = COMMANDS[name]
        or refuse('ERR Unknown Redis command called from script: ' .. name)
    local count, a, b, c = select('#', ...), ...
    a = type(a) == 'number' and text_of(a) or a
    b = type(b) == 'number' and text_of(b) or b
    c = type(c) == 'number' and text_of(c) or c
    if count == 2 and type(a) == 'string' and type(b) == 'string' then
        return command(a, b)
    elseif count == 1 and type(a) == 'string' then
        return command(a)
    elseif count == 3 and type(a) == 'string' and type(b) == 'string'
        and type(c) == 'string' then
        return command(a, b, c)
    end
    local words = { ... }
    for i = 1, count do
        words[i] = word(words[i])
    end
    return command(unpack(words))
end

function redis.register_function(name, fn)
    functions[name] = fn
end

function redis.sha1hex(text)
    return host.digest(text)
end

-- Texts and tables as one string: kind, length, contents.
cmsgpack = {}

function cmsgpack.pack(value)
    if type(value) ~= 'table' then
        local text = type(value) == 'number' and text_of(value) or tostring(value)
        return string.sub(type(value), 1, 1) .. #text .. ':' .. text
    end
    local parts, count = {}, 0
    for name, part in pairs(value) do
        parts[#parts + 1] = cmsgpack.pack(name) .. cmsgpack.pack(part)
        count = count + 1
    end
    return 't' .. count .. ':' .. table.concat(parts)
end

local function unpack_at(text, at)
    local kind, size, first = string.match(text, '^(%a)(%d+):()', at)
    size = tonumber(size)
    if kind ~= 't' then
        local word = string.sub(text, first, first + size - 1)
        local value = word
        if kind == 'n' then
            value = tonumber(word)
        elseif kind == 'b' then
            value = word == 'true'
        end
        return value, first + size
    end
    local out = {}
    for _ = 1, size do
        local name, value
        name, first = unpack_at(text, first)
        value, first = unpack_at(text, first)
        out[name] = value
    end
    return out, first
end

function cmsgpack.unpack(text)
    return (unpack_at(text, 1))
end

-- ---- For sim_redis.c

local function copy(value)
    if type(value) ~= 'table' then
        return value
    end
    local out = {}
    for name, part in pairs(value) do
        out[name] = copy(part)
    end
    return out
end

-- Copies that host.keep made. Entries of a stream never change, so copies share them.
local kept = {}

local function copy_all(from)
    local out = {}
    for key, value in pairs(from) do
        if value.kind == 'stream' then
            local entries = {}
            for i, entry in ipairs(value.entries) do
                entries[i] = entry
            end
            out[key] = { kind = 'stream', entries = entries, ms = value.ms, n = value.n }
        else
            out[key] = copy(value)
        end
    end
    return out
end

function host.keep(slot)
    kept[slot] = { copy_all(data), copy(ends) }
end

-- An unknown slot is an empty Redis.
function host.restore(slot)
    local old = kept[slot] or { {}, {} }
    data, ends = copy_all(old[1]), copy(old[2])
end

function host.start()
    starts = starts + 1
end

-- The keys that begin so, in order.
function host.keys(start)
    local out = {}
    for key in pairs(data) do
        out[#out + 1] = string.find(key, start, 1, true) == 1 and find(key) and key or nil
    end
    table.sort(out)
    return out
end

function host.begin(at_us, seed)
    time_us = at_us
    roll = seed or roll
end

function host.call(name, words)
    return (functions[name] or refuse('ERR Function not found'))({}, words)
end

function host.take_heard()
    local list = heard
    heard = {}
    return list
end
