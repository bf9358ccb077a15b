-- Targets of one job that give each other chunks (docs/spec/1-wire.md, "Relays"). What they
-- tell of themselves is kept for a while and is no state: without it a job takes longer.

local KEPT_S = 3600
local HEARD_MS = 60000 -- One that has told nothing for so long is not named
local NEAR = 32 -- Ranks before and behind, so that a job of any size costs the same

-- The job of which the caller writes a disk now, or nil.
local function job_written(meta)
    for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. meta.by)) do
        local task = R.task_load(id)
        if task and task.stage == 'write' and R.is('task', task, 'in-hand') then
            return task.job
        end
    end
    return nil
end

-- Those that reach each other at full speed: of one engine, and of one rack where it is
-- known, else of one network (/24, or the first four groups of IPv6).
local function group(meta)
    local found = call('HMGET', P .. 'target:' .. meta.name, 'engine', 'rack')
    local place = set(found[2]) and found[2]
        or string.match(meta.address or '', '^(%d+%.%d+%.%d+)%.%d+$')
        or string.match(meta.address or '', '^(%x*:%x*:%x*:%x*)') or '?'
    return (found[1] or '') .. '/' .. place
end

local FIELDS = { 'key', 'name', 'rank', 'port', 'addresses', 'position', 'ring', 'from',
    'lied', 'group', 'at' }

-- Values have no tab: they are keys, names, addresses and numbers.
local function packed(fact)
    local out = {}
    for i, name in ipairs(FIELDS) do
        out[i] = string.gsub(str(fact[name] or ''), '\t', ' ')
    end
    return table.concat(out, '\t') .. '\t'
end

local function unpacked(text)
    local fact, i = {}, 0
    for value in string.gmatch(text, '([^\t]*)\t') do
        i = i + 1
        fact[FIELDS[i] or '?'] = value
    end
    return fact
end

-- {port, ring, position, from, lied}: a target that writes tells of its relay, and hears of
-- its neighbours: body {rank, key, ...} is what they hear of it.
serve('relays', function(meta, body)
    local job = job_written(meta)
    need(job, E.NOT_ALLOWED, 'no task of this target writes a disk')
    local key, targets = P .. 'job:' .. job .. ':relays', P .. 'job:' .. job .. ':targets'
    local rank = call('ZRANK', targets, meta.name) or 0
    local own = { key = meta.by, name = meta.name, rank = rank, port = num(body.port),
        addresses = meta.address or '', position = num(body.position),
        ring = num(body.ring), from = '', lied = body.lied or '',
        group = group(meta), at = now() }
    local before = call('HGET', key, meta.name)
    if set(own.lied) and not (before and unpacked(before).lied == own.lied) then
        audit(meta, 'relay.lied', { job = job, target = meta.name, key = own.lied })
    end
    local names = call('ZRANGE', targets, math.max(0, rank - NEAR), rank + NEAR)
    local facts, items = call('HMGET', key, unpack(names)), {}
    for i = 1, #names do
        local peer = facts[i] and unpacked(facts[i])
        if peer and set(body.from) and peer.key == body.from then
            own.from = peer.name
        end
        if peer and peer.name ~= meta.name and peer.group == own.group
            and now() - num(peer.at) <= HEARD_MS then
            items[#items + 1] = { key = peer.key, name = peer.name, rank = peer.rank,
                port = peer.port, addresses = peer.addresses, position = peer.position,
                ring = peer.ring }
        end
    end
    call('HSET', key, meta.name, packed(own))
    call('EXPIRE', key, KEPT_S)
    own.group, own.at, own.from, own.lied = nil, nil, nil, nil
    own.targets = call('ZCARD', targets)
    return own, items
end)

-- The peer that a target reads from, as it said last; nil: the engine, or nothing now.
function R.relay_from(job, target)
    local text = call('HGET', P .. 'job:' .. job .. ':relays', target)
    local fact = text and unpacked(text)
    return fact and set(fact.from) and now() - num(fact.at) <= HEARD_MS and fact.from or nil
end
