#!lua name=ramet
-- ramet - every change of the durable state is one function of this library.
--
-- The library is made of ramet.lua and the ramet_<noun>.lua files beside it, joined in
-- the order of CMakeLists.txt. What is local in ramet.lua is the vocabulary of all files;
-- each other file is a scope of its own, and what others use of it stands in R. A call is
--
--     FCALL name 0  meta...  --  body...  [--  item...]...
--
-- with names and values in turn; `--` where a name would stand begins the next group.
-- meta is what the broker knows of the caller and cannot be forged by a request: by
-- (key), role, name, address, place, epoch, cursor, idem, clock, and for new jobs job,
-- job-name, stamp.
-- Every function answers {code, text, body, {item...}, cursor} with flat records, codes
-- as in rmt_error.h. A function refuses before its first write, never after it.
--
-- Keys (P = "ramet:", all known to this library alone):
--   P era, P epoch              numbers; the epoch counter is one for the whole farm
--   P clocks                    hash role/name -> seconds by which its time of day differs
--   P clock                     the farm's clock, at most RMT_CLOCK_STEP_MS ago
--   P era-at                    when the era was last raised
--   P run                       INFO's run_id: another one after each start of Redis
--   P broker-ids                hash id -> name of each broker that may have sent a GO
--   P awaited, P awaited-since  set of those that have not opened Redis since it started;
--                               when the first of them did
--   P audit                     stream of all transitions and refused acts, the only stream
--   P audit-serial              how many entries there have been
--   P audit-files               hash key that signs a broker's audit files -> packed: how far
--                               they have come (ramet_audit.lua)
--   P idem:<by>:<key>           packed {function, digest of the request, reply}, 30 days; one
--                               that refuses 1 day
--   P idems:<by>                list of the last keys of those, at most RMT_ANSWERS_KEPT
--   P source|engine|target|image:<name>   record; index ZSET P sources ... (by name)
--   P unique                    hash "field=value" of targets -> name
--   P removed                   ZSET of image ids without a name, by time of removal
--   P pins:<place>              hash image id -> packed {id, name, reason, by, since}
--   P image-ids                 hash id -> name;  P image-names  hash name -> open job
--   P warrants:<batch>          hash target -> text, until a job takes them
--   P signatures:<image id>     hash key -> line of text, a signature of the image
--   P root:<version>            {version, id, root, by, since}; P roots hash id -> version;
--                               P root-newest its number
--   P script:<engine>:<name>    record; index P scripts:<engine>
--   P key:<key>                 record; index P keys; P key-names:<name> set of keys
--   P token:<hash>              record with a life time
--   P token-ids                 hash of a token's id (no secret) -> its hash
--   P job:<uid>                 record; P jobs ZSET by time, P job-names ZSET "j-x:<uid>"
--     :targets (ZSET) :t:<name> (record) :ready (ZSET) :verdicts (ZSET "engine/target")
--     :v:<engine>/<target> (record) :tasks (set) :log (list of audit ids)
--     :findings (list of packed records) :warrants (hash target -> text)
--     :stuck (hash task -> "since stage subject text")
--   P open, P drive             sets of jobs: not ended; waiting for a decision
--   P task:<id>                 record, body fields as b.<name>
--   P queue:<service>           list of task ids (a hint; truth is the task's state)
--   P waiting                   ZSET task -> queued since; P services ZSET of names;
--                               P queues set of services with tasks waiting
--   P leases, P silent          ZSET task -> end of lease; silent since
--   P held:<key>                set of tasks leased by a peer
--   P lock:<target>             record; index P locks
--   P later                     ZSET job -> when to look whether it begins or goes on
--   P boots                     ZSET "job/target" -> end of the wait for the first boot, for
--                               the agent of a machine that was switched on, or for an
--                               installer that takes a request for power (target '')
--   P presence, P live          ZSET role/name, key -> heard at
--   P sending                   set of places with imagers; P second:<role>/<name>
--                               since when two keys rival for a name
--   P agent:<role>/<name>       boot nonce of a peer and since when it has it, identity,
--                               id of the trust root that it was told
--   P own                       hash identity -> what of ramet runs there, with commas
--   P own-of                    hash key or "broker NAME" -> identity and word
--   P brokers                   ZSET broker -> heard at, in steps of a minute
--   P data:<key>                where a peer serves data; P offers:<service> ZSET key
--   P slots:<key>               hash service -> slots
--   P secrets                   hash target -> passphrase of its disk, sealed to an admin
--   P secrets-before            the same of what is on a disk that is about to be written
--   P greetings                 hash key -> which of its HELLOs was the last
--   P grants:<key>              ZSET "place root" -> until (root empty: may offer)
--   P granted:<place>           ZSET key -> until; P dropped:<place> ZSET ended key -> when

local P = 'ramet:'
local KEPT_S = 30 * 24 * 3600
local REFUSED_S = 24 * 3600 -- How long the answer is kept that refuses a request
local PAGE_ITEMS, PAGE_BYTES = 500, 192 * 1024 -- An envelope has 256 KiB
local PAGE_STEP = 25 -- Names read at a time: most pages are full of bytes long before

local E = { --[[CODES]] }     -- Of rmt_error.h: E.USAGE is RMT_E_USAGE
local L = { --[[LIMITS]] }    -- Of rmt_limits.h: L.READY_MAX is RMT_READY_MAX

local R = {}    -- What the files share

-- redis.call exists only while a function runs, so it cannot be kept in a local.
local function call(...)
    return redis.call(...)
end

local function fail(code, text)
    error({ code = code, text = text }, 0)
end

local function need(condition, code, text)
    if not condition then
        fail(code, text)
    end
    return condition
end

-- The time of day, which may jump: for people to read, never to be compared.
local function wall()
    local t = call('TIME')
    return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- The same to the microsecond: two entries of one id, before and after a Redis was restored,
-- were not made in one moment.
local function moment()
    local t = call('TIME')
    return t[1] .. string.format('%06d', tonumber(t[2]))
end

-- Numbers are written without an exponent.
local function str(value)
    if type(value) == 'number' then
        return string.format('%.0f', value)
    end
    return tostring(value)
end

local function set(text)
    return text ~= nil and text ~= false and text ~= ''
end

local function num(text, missing)
    return tonumber(text) or missing or 0
end

-- A record as a list of names and values, and what they take of a message.
local function flat(record)
    local out, n, bytes = {}, 0, 0
    for name, value in pairs(record) do
        value = type(value) == 'string' and value or str(value)
        out[n + 1], out[n + 2] = name, value
        n, bytes = n + 2, bytes + #name + #value + 8
    end
    return out, bytes
end

local function load(key)
    local list = call('HGETALL', key)
    if #list == 0 then
        return nil
    end
    local record = {}
    for i = 1, #list, 2 do
        record[list[i]] = list[i + 1]
    end
    return record
end

-- Set fields of a hash; a value of '' removes the field.
local function put(key, fields)
    local list = {}
    for name, value in pairs(fields) do
        if value == '' then
            call('HDEL', key, name)
        else
            list[#list + 1] = name
            list[#list + 1] = str(value)
        end
    end
    if #list > 0 then
        call('HSET', key, unpack(list))
    end
end

-- The same, of a record whose state R.move alone changes.
local function store(key, fields)
    if fields.state then
        fail(E.INTERNAL, key .. ': only R.move changes a state')
    end
    put(key, fields)
end

-- The farm's clock: milliseconds that only rise, and by which all lengths of time are
-- measured. Each broker counts on from what Redis said last by its own monotonic clock and
-- says with every call (meta clock) how late it is; the latest of all counts. So no time of
-- day matters, and the clock stands still while no broker is there. It begins as the time
-- of day, once.
local farm_ms = 0       -- Of the call that runs

local function clock_begin(meta)
    local kept = num(call('GET', P .. 'clock'))
    if not set(meta.clock) then
        farm_ms = kept > 0 and kept or wall()
        return
    end
    farm_ms = math.max(kept, num(meta.clock))
    if farm_ms - kept >= L.CLOCK_STEP_MS then
        call('SET', P .. 'clock', str(farm_ms))
    end
end

local function now()
    return farm_ms
end

-- A moment behind all moments that were marked before, which no later start of a broker can
-- fall behind. So of two marks the higher one is the later one, also within a millisecond.
local function mark()
    local kept = call('GET', P .. 'clock')
    if kept then
        farm_ms = math.max(farm_ms, num(kept) + 1)
        call('SET', P .. 'clock', str(farm_ms))
    end
    return farm_ms
end

local function words(text)
    local out = {}
    for word in string.gmatch(text or '', '[^%s,]+') do
        out[#out + 1] = word
    end
    return out
end

local function named(name)
    need(set(name) and #name <= 63 and string.find(name, '^[a-z0-9][a-z0-9._-]*$'),
        E.USAGE, 'a name has 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit')
    return name
end

-- "a, b, c (and 4 more)": the first so many of a list.
local function some(list, most)
    table.sort(list)
    local more = #list > most and ' (and ' .. #list - most .. ' more)' or ''
    return table.concat(list, ', ', 1, math.min(#list, most)) .. more
end

-- Append to the audit stream; entries of a job stand in its log too. Nothing is trimmed here:
-- an entry leaves the stream once it is in a file (ramet_audit.lua).
local function audit(meta, what, fields)
    local list = { P .. 'audit', '*', 'what', what, 'moment', moment(),
        'serial', str(call('INCR', P .. 'audit-serial')) }
    local function add(name, value)
        value = str(value or '')
        if value ~= '' then
            list[#list + 1] = name
            list[#list + 1] = string.sub(value, 1, 1024)
        end
    end
    add('by', meta.by)
    add('by-role', meta.by and meta.role)
    add('by-name', meta.by and meta.name)
    add('address', meta.address)
    for name, value in pairs(fields or {}) do
        add(name == 'id' and 'contents' or name, value) -- An entry has an id of its own
    end
    local id = call('XADD', unpack(list))
    if fields and set(fields.job) and call('EXISTS', P .. 'job:' .. fields.job) == 1 then
        call('RPUSH', P .. 'job:' .. fields.job .. ':log', id)
    end
    return id
end

-- One page of a name index, flat: make(name) gives a record, or nil for "leave out".
local function page(index, cursor, make)
    local items, total, seen, last = {}, 0, 0, cursor
    while seen < PAGE_ITEMS do
        local min = set(last) and '(' .. last or '-'
        local names = call('ZRANGEBYLEX', index, min, '+', 'LIMIT', 0, PAGE_STEP)
        for _, name in ipairs(names) do
            local record = make(name)
            if record then
                local item, bytes = flat(record)
                if total > 0 and total + bytes > PAGE_BYTES then
                    return items, last
                end
                items[#items + 1] = item
                total = total + bytes
            end
            last = name
        end
        if #names < PAGE_STEP then
            return items, ''
        end
        seen = seen + PAGE_STEP
    end
    return items, last
end

-- The first records of a list, flat: as many as an answer holds.
local function fitting(records)
    local items, total = {}, 0
    for _, record in ipairs(records) do
        local item, bytes = flat(record)
        total = total + bytes
        if #items == PAGE_ITEMS or total > PAGE_BYTES then
            break
        end
        items[#items + 1] = item
    end
    return items
end

local function parse(args)
    local group = {}
    local groups, i = { group }, 1
    while i <= #args do
        if args[i] == '--' then
            group = {}
            groups[#groups + 1] = group
            i = i + 1
        else
            group[args[i]] = args[i + 1]
            i = i + 2
        end
    end
    local items = {}
    for n = 3, #groups do
        items[#items + 1] = groups[n]
    end
    return groups[1], groups[2] or {}, items
end

-- Items are records, or those of a page.
local function reply(code, text, body, items, cursor)
    local list = {}
    for i, item in ipairs(items or {}) do
        list[i] = item[1] and item or flat(item)
    end
    return { code, text or '', (flat(body or {})), list, cursor or '' }
end

-- A digest of what is asked: the same request has the same one, and no other has it.
local function digest(body, items)
    local parts = {}
    local function add(record)
        local names = {}
        for name in pairs(record) do
            names[#names + 1] = name
        end
        table.sort(names)
        for _, name in ipairs(names) do
            parts[#parts + 1] = #name .. ':' .. name .. #record[name] .. ':' .. record[name]
        end
        parts[#parts + 1] = ';'
    end
    add(body)
    for _, item in ipairs(items) do
        add(item)
    end
    return redis.sha1hex(table.concat(parts))
end

-- The answer that a request with this idempotency key had before, or nil. A key stands for
-- one request: another one under it was made by mistake, and must not be told that it is
-- done.
local function answer_before(idem, name, print)
    local packed = call('GET', idem)
    if not packed then
        return nil
    end
    local old = cmsgpack.unpack(packed)
    if old.name == name and old.print == print then
        return old.answer
    end
    return reply(E.USAGE, 'the idempotency key of this request belongs to an earlier request '
        .. 'of another kind (' .. tostring(old.name) .. '); give each request a key of its own')
end

-- What is answered with these codes may be asked again, and then have its effect.
local AGAIN = { [E.UNAVAILABLE] = true, [E.BUSY] = true, [E.INTERNAL] = true }

-- by: whose answers they are. Its oldest ones go, for the memory of Redis is for all.
local function answer_keep(by, idem, name, print, answer)
    local code = answer[1]
    if idem and not AGAIN[code] then
        local list = P .. 'idems:' .. by
        call('SET', idem, cmsgpack.pack({ name = name, print = print, answer = answer }),
            'EX', code == E.OK and KEPT_S or REFUSED_S)
        if call('RPUSH', list, idem) > L.ANSWERS_KEPT then
            call('DEL', call('LPOP', list))
        end
        call('EXPIRE', list, KEPT_S)
    end
    return answer
end

local function run(fn, meta, body, items)
    if set(meta.job) then -- That of a new job
        R.audit_need()
    end
    return fn(meta, body, items)
end

-- Offer fn(meta, body, items) -> body, items, cursor as a function of the library. A
-- revoked key has no effect, though its broker may not have heard of it yet. A call that
-- names an idempotency key has its effect once and the same answer again.
local function serve(name, fn)
    redis.register_function(name, function(_, args)
        local meta, body, items = parse(args)
        clock_begin(meta)
        if set(meta.by) and R.is_now('key', meta.by, 'revoked') then
            return reply(E.NOT_ALLOWED, 'this key was revoked')
        end
        local by = meta.by or ''
        local idem = set(meta.idem) and P .. 'idem:' .. by .. ':' .. meta.idem
        local print = idem and digest(body, items) -- Before fn, which may change them
        local old = idem and answer_before(idem, name, print)
        if old then
            return old
        end
        local ok, first, list, cursor = pcall(run, fn, meta, body, items)
        if not ok then
            if type(first) == 'table' and first.code then
                return answer_keep(by, idem, name, print, reply(first.code, first.text))
            end
            local text = type(first) == 'table' and first.err or first
            return reply(E.INTERNAL, name .. ': ' .. tostring(text))
        end
        return answer_keep(by, idem, name, print, reply(E.OK, '', first, list, cursor))
    end)
end

-- The moment in which an entry was made, which an old one does not say.
local function moment_of(entry)
    for i = 1, entry and #entry[2] or 0, 2 do
        if entry[2][i] == 'moment' then
            return entry[2][i + 1]
        end
    end
    return ''
end

-- Id and moment of the last entry.
local function last_audit()
    local last = call('XREVRANGE', P .. 'audit', '+', '-', 'COUNT', 1)[1]
    return last and last[1] or '0-0', moment_of(last)
end
