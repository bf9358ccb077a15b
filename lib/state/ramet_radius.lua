-- Blast radius: how many machines one job may reach, and which ones no job may
-- (docs/spec/4-control.md, "Blast radius").

-- Approved targets of the farm, counted no further than is asked.
local function inventory(at_most)
    local count = 0
    for _, name in ipairs(call('ZRANGE', P .. 'targets', 0, -1)) do
        if count == at_most then
            break
        elseif R.is_now('approval', 'target:' .. name, 'approved') then
            count = count + 1
        end
    end
    return count
end

-- Why a job over so many targets is large, or nil.
local function why_large(count)
    if count > L.LARGE_TARGETS then
        return 'more than ' .. L.LARGE_TARGETS
    end
    local farm = inventory(math.max(L.LARGE_FARM, count * L.LARGE_PART))
    local is_large = farm >= L.LARGE_FARM and count * L.LARGE_PART > farm
    return is_large and 'more than a fifth of the ' .. farm .. ' targets of the farm' or nil
end

-- What a job over these targets would erase, for the question that a user answers.
function R.radius_tell(fields, targets)
    local told = { targets = #targets, engines = fields.engines,
        ['image-name'] = fields['image-name'], large = why_large(#targets) or 'no',
        begins = fields.begins, window = fields.window }
    return fields.wake == 'yes' and R.power_tell(told, targets) or told
end

-- Refuse a job with another number of targets than its user has counted, and a large one
-- whose targets were not counted.
function R.radius_need(body, targets)
    local count = #targets
    need(not set(body.count) or body.count == str(count), E.USAGE, 'the user counted '
        .. tostring(body.count) .. ' targets, but the job has ' .. count
        .. '; look at the list of targets, then give --count ' .. count)
    local large = not set(body.count) and why_large(count)
    need(not large, E.USAGE, 'the job would erase ' .. count .. ' targets, ' .. tostring(large)
        .. ', so it needs their number: --count ' .. count)
end

-- ---- Machines that no job may erase (docs/spec/4-control.md, "Protected machines")

-- The machines on which ramet's own programs run, and those of the sources: P own has the
-- words for them by identity ("imager hq", "source web"), P own-of identity and words by the
-- key of the program, or "broker NAME". So what one key says, another one does not undo.
local function own_words(identity, without, more)
    local list = {}
    for word in string.gmatch(call('HGET', P .. 'own', identity) or '', '[^,]+') do
        if word ~= without and word ~= more then
            list[#list + 1] = word
        end
    end
    list[#list + 1] = more
    put(P .. 'own', { [identity] = table.concat(list, ',') })
end

local function own_parts(mark)
    return string.match(mark or '', '^(.-)\n(.*)$')
end

-- id: a key, or "broker NAME".
function R.own_drop(id)
    local mark = call('HGET', P .. 'own-of', id)
    if not mark then
        return
    end
    call('HDEL', P .. 'own-of', id)
    for _, other in pairs(load(P .. 'own-of') or {}) do
        if other == mark then
            return -- Another program says the same
        end
    end
    own_words(own_parts(mark))
end

-- Drop what was said of machines, where is_wanted(id, identity, who).
local function own_drop_where(is_wanted)
    local list = call('HGETALL', P .. 'own-of')
    for i = 1, #list, 2 do
        if is_wanted(list[i], own_parts(list[i + 1])) then
            R.own_drop(list[i])
        end
    end
end

-- A source has no record any longer.
function R.own_drop_source(name)
    own_drop_where(function(_, _, who)
        return who == 'source ' .. name
    end)
end

-- identity: of the machine on which this program runs now; nil or '' when it has none. True
-- when that is news.
local function own_set(id, who, identity)
    local mark = set(identity) and string.lower(identity) .. '\n' .. who
    if call('HGET', P .. 'own-of', id) == mark then
        return false
    end
    R.own_drop(id)
    if mark then
        call('HSET', P .. 'own-of', id, mark)
        own_words(string.lower(identity), nil, who)
    end
    return true
end

-- A peer has greeted: a source, or a worker of a place. Keys that it had before are void.
function R.own_greet(meta, identity)
    local is_worker = meta.role == 'imager' or meta.role == 'installer'
    local is_source = meta.role == 'source'
        and call('EXISTS', P .. 'source:' .. meta.name) == 1
    local mine = meta.role .. ' ' .. meta.name
    if (is_worker or is_source) and own_set(meta.by, mine, identity) then
        own_drop_where(function(id, _, who)
            return who == mine and R.is_now('key', id, 'ended')
        end)
    end
end

-- ---- Brokers

local BROKER_STEP_MS = 60 * 1000
local BROKER_GONE_MS = 5 * BROKER_STEP_MS

-- A broker works. name: of its host, and its port.
function R.broker_heard(name)
    if set(name) and now() - num(call('ZSCORE', P .. 'brokers', name)) >= BROKER_STEP_MS then
        call('ZADD', P .. 'brokers', now(), name)
    end
end

function R.broker_greet(name, identity)
    if set(name) then
        R.broker_heard(name)
        own_set('broker ' .. name, 'broker ' .. name, identity)
    end
end

-- Brokers that are gone leave these machines: no key ends with them, and one that has got
-- another address or machine does not say what it was.
local function brokers_leave(identities)
    own_drop_where(function(id, identity, who)
        local name = string.match(id, '^broker (.*)$')
        local heard_at = name and num(call('ZSCORE', P .. 'brokers', name))
        local is_gone = name and now() - heard_at >= BROKER_GONE_MS
        if is_gone and identities[identity] then
            call('ZREM', P .. 'brokers', name)
        end
        return is_gone and identities[identity]
    end)
end

local function own_of(identity)
    return set(identity) and call('HGET', P .. 'own', string.lower(identity)) or nil
end

-- Why the target of this record may not be erased, or nil: because an admin says so, or
-- because of what runs on its machine, whose identity its record or its own agent names.
function R.forbidden(record)
    if R.is('protection', record, 'protected') then
        return record.protected
    end
    local own = own_of(record.identity)
        or own_of(call('HGET', P .. 'agent:target/' .. record.name, 'identity'))
    return own and 'it is the machine of ' .. (string.gsub(own, ',', ', ')) or nil
end

-- The same as a sentence, with the way out.
function R.forbidden_text(record)
    local why = R.forbidden(record)
    local is_way = R.is('protection', record, 'protected')
        or string.find(why or '', 'machine of broker ', 1, true)
    local hint = is_way and '; to allow it: ramet target unprotect ' .. record.name or ''
    return why and 'target ' .. record.name .. ' is protected: ' .. why .. hint
end

serve('target_protect', function(meta, body)
    R.record_need('target', body.name)
    need(set(body.reason), E.USAGE, 'a protection needs a reason; give one with --reason TEXT')
    R.move(meta, 'protection', body.name, 'protect', { reason = body.reason },
        { target = body.name, text = body.reason })
    return {}
end)

-- Gives what still protects it: a program of ramet's that runs on its machine.
serve('target_unprotect', function(meta, body)
    R.record_need('target', body.name)
    R.move(meta, 'protection', body.name, 'unprotect', nil,
        { target = body.name, text = body.reason })
    local record, identities = load(P .. 'target:' .. body.name), {}
    local told = call('HGET', P .. 'agent:target/' .. body.name, 'identity')
    for _, identity in ipairs({ record.identity or '', told or '' }) do
        identities[string.lower(identity)] = set(identity) or nil
    end
    brokers_leave(identities)
    return { protected = R.forbidden(record) }
end)
