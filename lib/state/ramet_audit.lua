-- The audit: the era by which a restored Redis is known, reading the stream, and its way into
-- the files of the brokers (docs/spec/8-audit.md). Each broker writes the whole stream into
-- files of its own and says here how far it has come; an entry may leave the stream when all
-- brokers have it in a file.

local FILES = P .. 'audit-files'
local DAY_MS = 24 * 3600 * 1000
local TRIM_STEP, TRIM_MAX = 500, 2000   -- Entries that one call takes out of the stream
local LOOK_MAX, LOOK_STEP = 5000, 200   -- Entries that one call of audit_list looks at
local BEHIND_MAX, BEHIND_MS = 1000, 60000

local function id_parts(id)
    local ms, n = string.match(id or '', '^(%d+)-(%d+)$')
    return num(ms), num(n)
end

function R.era()
    return call('GET', P .. 'era') or '0'
end

-- True when the stream has lost this entry, though others may have been written since: it
-- is not there, and the stream is too short to have let its beginning go; or another one has
-- its id, as the time of day of Redis went back.
local function is_lost(id, made)
    local found = call('XRANGE', P .. 'audit', id, id)[1]
    if id == '0-0' or found then
        return set(made) and found and moment_of(found) ~= made
    end
    local first = call('XRANGE', P .. 'audit', '-', '+', 'COUNT', 1)
    local ms, n = id_parts(first[1] and first[1][1])
    local id_ms, id_n = id_parts(id)
    return call('XLEN', P .. 'audit') < L.AUDIT_KEPT
        or ms < id_ms or ms == id_ms and n < id_n
end

-- What was handed out before is fenced.
function R.era_raise(meta, era, text)
    call('SET', P .. 'era', era)
    call('SET', P .. 'era-at', mark())
    audit(meta, 'era.raised', { era = era, text = text })
end

-- {era, last, moment, id?, broker?, identity?}: what the broker's state file says, or what it
-- has seen since; its own id and name, and the machine it runs on. A Redis that does not have
-- the last entry, of that moment, was restored from an older copy: everything handed out since
-- then must be fenced.
serve('era_open', function(meta, body)
    local era, file = num(call('GET', P .. 'era')), num(body.era)
    local behind = file > era or file == era and is_lost(body.last or '0-0', body.moment)
    if behind then
        era = math.max(era, file) + 1
    elseif era == 0 then
        era = 1
    end
    call('SET', P .. 'era', era)
    R.broker_greet(body.broker, body.identity)
    R.broker_opened(body.id, body.broker)
    if behind then
        R.era_raise(meta, era, 'Redis does not have the last entry that a broker has seen')
    end
    local last, made = last_audit()
    return { era = era, last = last, moment = made, raised = behind and 'yes' or 'no',
        clock = now() }
end)

local function record_of(entry)
    local record, bytes = { id = entry[1] }, 0
    for i = 1, #entry[2], 2 do
        record[entry[2][i]] = entry[2][i + 1]
        bytes = bytes + #entry[2][i] + #entry[2][i + 1] + 8
    end
    return record, bytes
end

-- One page of the entries behind this one, and the id of its last one.
local function entries_after(id)
    local items, last, bytes = {}, set(id) and id or '0-0', 0
    local entries = call('XRANGE', P .. 'audit', '(' .. last, '+', 'COUNT', PAGE_ITEMS)
    for _, entry in ipairs(entries) do
        local record, size = record_of(entry)
        items[#items + 1] = record
        last, bytes = entry[1], bytes + size
        if bytes > PAGE_BYTES then
            break
        end
    end
    return items, last
end

serve('audit_read', function(meta, body)
    local items, last = entries_after(body.after)
    return { last = last }, items
end)

serve('audit_append', function(meta, body)
    local fields = {}
    for name, value in pairs(body) do
        fields[name] = value
    end
    fields.what = nil
    return { id = audit(meta, body.what or 'note', fields) }
end)

-- ---- The files of the brokers

local function files_load()
    local files = {}
    for key, packed in pairs(load(FILES) or {}) do
        files[key] = cmsgpack.unpack(packed)
    end
    return files
end

local function is_before(a, b)
    local a_ms, a_n = id_parts(a)
    local b_ms, b_n = id_parts(b)
    return a_ms < b_ms or a_ms == b_ms and a_n < b_n
end

-- How many entries are in no file of any broker.
local function waiting()
    local best = 0
    for _, file in pairs(files_load()) do
        best = math.max(best, num(file.serial))
    end
    return num(call('GET', P .. 'audit-serial')) - best
end

-- What makes many entries is refused before Redis is full of those that have no file.
function R.audit_need()
    local count = waiting()
    need(count < L.AUDIT_WAITING_MAX, E.UNAVAILABLE, count .. ' entries of the audit are in no '
        .. 'file, for no broker can write its own; mend what is named by: ramet doctor')
end

-- The entry behind which none may be trimmed: that which each broker of the last day has in
-- a file, or, before Redis is full, that which one of them has.
local function trim_bound()
    local least, best
    for _, file in pairs(files_load()) do
        if not best or is_before(best, file.id) then
            best = file.id
        end
        if now() - num(file.at) < DAY_MS and (not least or is_before(file.id, least)) then
            least = file.id
        end
    end
    local is_long = call('XLEN', P .. 'audit') > L.AUDIT_WAITING_MAX
    return not is_long and least or best
end

local function trim()
    local excess = call('XLEN', P .. 'audit') - L.AUDIT_KEPT
    local bound = excess > TRIM_STEP and trim_bound()
    if not bound then
        return
    end
    local old = call('XRANGE', P .. 'audit', '-', '+', 'COUNT', math.min(excess, TRIM_MAX))
    local last = old[#old][1]
    call('XTRIM', P .. 'audit', 'MINID', is_before(bound, last) and bound or last)
end

local function entry_at(id)
    local entry = call('XRANGE', P .. 'audit', id, id)[1]
    return entry and record_of(entry)
end

-- What the file of this broker had, and has no longer: its lines were cut or exchanged.
local function cut_of(file, body)
    local n = num(file.n)
    local told = num(body.n)
    local is_less = told < n or n > 0 and told == n and body.link ~= file.link
    return is_less and body.cut ~= str(n) and str(n) or nil
end

local function file_keep(file, body)
    local entry = entry_at(body.id)
    local is_cut = set(body.cut) and num(body.n) <= num(file.n)
    call('HSET', FILES, body.key, cmsgpack.pack({ broker = body.broker or '', n = body.n,
        link = body.link, id = body.id, fault = body.fault or '', at = str(now()),
        since = str(wall()), serial = entry and entry.serial or file.serial or '0',
        ['cut-at'] = is_cut and str(now()) or file['cut-at'] }))
end

-- {key, broker, n, link, id, moment, cut?, fault?}: the broker has all up to this entry in
-- its file, whose last line is n with that link. Items: what follows. Body: after, and one of
-- cut: the line that the file once had, which the broker marks and then says;
-- lost: the stream does not have that entry, for Redis was restored: it goes on behind after;
-- gap: entries between were trimmed, for the broker was away too long.
serve('audit_export', function(_, body)
    local packed = call('HGET', FILES, body.key)
    local file = packed and cmsgpack.unpack(packed) or {}
    local cut = cut_of(file, body)
    if cut then
        return { cut = cut }
    end
    if is_lost(body.id, body.moment) then
        local entry = set(file.id) and entry_at(file.id)
        local after = entry and file.id or '0-0'
        return { lost = 'yes', after = after, moment = entry and entry.moment or '',
            era = R.era() }, (entries_after(after))
    end
    file_keep(file, body)
    trim()
    local is_gap = body.id ~= '0-0' and not entry_at(body.id)
    return { after = body.id, gap = is_gap and 'yes' or nil }, (entries_after(body.id))
end)

-- Items {broker, key, n, link, id, since, fault}: how far each broker has come.
serve('audit_heads', function()
    local items = {}
    for key, file in pairs(files_load()) do
        items[#items + 1] = { key = key, broker = file.broker, n = file.n, link = file.link,
            id = file.id, since = file.since, fault = file.fault }
    end
    table.sort(items, function(a, b)
        return a.broker .. a.key < b.broker .. b.key
    end)
    return {}, items
end)

-- For the doctor: told(level, text, next). body: {broker, audit-fault?} of the broker that asks,
-- which knows best of its own files.
function R.audit_check(told, body)
    local serial = num(call('GET', P .. 'audit-serial'))
    if set(body['audit-fault']) then
        told('wrong', 'the broker cannot write its audit files: ' .. body['audit-fault'],
            'mend the folder of the setting "audit" of the broker')
    end
    for _, file in pairs(files_load()) do
        local behind, age = serial - num(file.serial), now() - num(file.at)
        local is_told = set(body['audit-fault']) and file.broker == body.broker
        local counts = age < DAY_MS and not is_told
        if counts and set(file.fault) then
            told('wrong', 'broker ' .. file.broker .. ' cannot write its audit files: '
                .. file.fault, 'mend the folder of the setting "audit" of that broker')
        elseif counts and behind > BEHIND_MAX and age > BEHIND_MS then
            told('wrong', 'broker ' .. file.broker .. ' has ' .. behind
                .. ' entries of the audit not in its files', 'start that broker')
        end
        if set(file['cut-at']) and now() - num(file['cut-at']) < 30 * DAY_MS then
            told('note', 'the audit files of broker ' .. file.broker .. ' had lines that are '
                .. 'gone', 'ramet audit export FILE, then ramet audit verify FILE')
        end
    end
    local count = waiting()
    if count * 2 > L.AUDIT_WAITING_MAX then
        told('wrong', count .. ' entries of the audit are in no file; from '
            .. L.AUDIT_WAITING_MAX .. ' on new jobs are refused',
            'mend the folder of the setting "audit" of the brokers')
    end
end

-- ---- For people

-- Does an entry have what is asked for?
local function fits(record, body)
    local is_by = not set(body.by) or record.by == body.by or record['by-name'] == body.by
        or record.what == 'act.refused' and record.key == body.by
    return is_by and (not set(body.target) or record.target == body.target)
        and (not set(body.job) or record.job == body.job)
        and (body.refused ~= 'yes' or record.what == 'act.refused')
end

-- {by?, target?, job?, refused?, since-ms?, limit?} cursor: entries of the stream, the youngest
-- first. One call looks at so many of them; an answer without items may have a cursor.
serve('audit_list', function(meta, body)
    local items, bytes, looked = {}, 0, 0
    local from, last = set(body['since-ms']) and body['since-ms'] or '-', meta.cursor
    local limit = math.min(num(body.limit, PAGE_ITEMS), PAGE_ITEMS)
    need(from == '-' or string.find(from, '^%d+$'), E.USAGE, 'since-ms must be a number')
    body.job = set(body.job) and R.job_find(body.job).id or nil
    while looked < LOOK_MAX do
        local entries = call('XREVRANGE', P .. 'audit', set(last) and '(' .. last or '+', from,
            'COUNT', LOOK_STEP)
        for _, entry in ipairs(entries) do
            local record, size = record_of(entry)
            if fits(record, body) then
                items[#items + 1] = record
                bytes = bytes + size
            end
            last = entry[1]
            if #items == limit or bytes > PAGE_BYTES then
                return {}, items, last
            end
        end
        if #entries < LOOK_STEP then
            return {}, items, ''
        end
        looked = looked + #entries
    end
    return {}, items, last
end)
