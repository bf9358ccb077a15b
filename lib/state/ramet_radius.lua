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
    return { targets = #targets, engines = fields.engines,
        ['image-name'] = fields['image-name'], large = why_large(#targets) or 'no' }
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
-- words for them by identity ("imager hq", "source web"), P own-of identity and words by id.
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

-- id: a key, "source NAME" or "broker NAME".
function R.own_drop(id)
    local identity, who = string.match(call('HGET', P .. 'own-of', id) or '', '^(.-)\n(.*)$')
    if identity then
        call('HDEL', P .. 'own-of', id)
        own_words(identity, who)
    end
end

-- identity: of the machine on which this program runs now; nil or '' when it has none.
function R.own_set(id, who, identity)
    local mark = set(identity) and string.lower(identity) .. '\n' .. who
    if call('HGET', P .. 'own-of', id) == mark then
        return
    end
    R.own_drop(id)
    if mark then
        call('HSET', P .. 'own-of', id, mark)
        own_words(string.lower(identity), nil, who)
    end
end

-- A peer has greeted: a source, or a worker of a place.
function R.own_greet(meta, identity)
    if meta.role == 'imager' or meta.role == 'installer' then
        R.own_set(meta.by, meta.role .. ' ' .. meta.name, identity)
    elseif meta.role == 'source' and call('EXISTS', P .. 'source:' .. meta.name) == 1 then
        R.own_set('source ' .. meta.name, 'source ' .. meta.name, identity)
    end
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
    local hint = R.is('protection', record, 'protected')
        and '; to allow it: ramet target unprotect ' .. record.name or ''
    return why and 'target ' .. record.name .. ' is protected: ' .. why .. hint
end

serve('target_protect', function(meta, body)
    R.record_need('target', body.name)
    need(set(body.reason), E.USAGE, 'a protection needs a reason; give one with --reason TEXT')
    R.move(meta, 'protection', body.name, 'protect', { reason = body.reason },
        { target = body.name, text = body.reason })
    return {}
end)

serve('target_unprotect', function(meta, body)
    R.record_need('target', body.name)
    R.move(meta, 'protection', body.name, 'unprotect', nil,
        { target = body.name, text = body.reason })
    return {}
end)
