-- What is wrong in the farm, each with what to do (docs/operating.md, "ramet doctor").

local NAMES_MAX = 5         -- Names that one finding lists
local FREE_MIN = 5          -- Of a store, in percent
local MEMORY_MAX = 90       -- Of Redis' limit, in percent
local ENDING_MS = 6 * 3600 * 1000   -- Of a token that machines still use

-- Findings of one check: told(level, text, next). level: wrong or note.
local CHECKS = {}

local function info(section)
    local fields = {}
    for name, value in string.gmatch(call('INFO', section), '([%w_-]+):([^\r\n]*)') do
        fields[name] = value
    end
    return fields
end

-- settings: what Redis says of itself; nil when it does not tell it to the broker.
function CHECKS.redis(told, body)
    local wanted = { appendonly = 'yes', appendfsync = 'always',
        ['maxmemory-policy'] = 'noeviction' }
    for name, value in pairs(wanted) do
        local had = body[name]
        if had and had ~= value then
            told('wrong', 'Redis has ' .. name .. ' ' .. had .. ', so a crash may lose jobs',
                'redis-cli CONFIG SET ' .. name .. ' ' .. value .. ', and set it in redis.conf')
        end
    end
    -- Told with sentinels alone: how many replicas must have what the broker answers.
    if set(body['redis-replicas']) then
        local least, most = num(body['redis-replicas']), num(info('replication').connected_slaves)
        if num(body['min-replicas-to-write'], 1) < 1 then
            told('note', 'Redis has min-replicas-to-write 0, so a primary that is cut off keeps '
                .. 'taking what a failover loses', 'redis-cli CONFIG SET '
                .. 'min-replicas-to-write 1, and set it in redis.conf')
        end
        if least > 0 and most <= least then
            told('note', 'Redis has ' .. most .. ' replicas, and ' .. least .. ' must have what '
                .. 'the broker answers (redis-replicas): with one less the farm stands still',
                'start another replica of Redis')
        end
    end
    if not body.appendonly then
        told('note', 'the broker cannot read the settings of Redis: '
            .. (body['settings-fault'] or 'no answer'),
            'allow the command CONFIG GET to the user of the broker')
    end
    local disk = info('persistence')
    if (disk.aof_last_write_status or 'ok') ~= 'ok' then
        told('wrong', 'Redis cannot write its append-only file',
            'free space on the disk of Redis and look at its log')
    end
    if (disk.aof_last_bgrewrite_status or 'ok') ~= 'ok' then
        told('wrong', 'Redis cannot rewrite its append-only file, which grows',
            'redis-cli BGREWRITEAOF, and look at the log of Redis')
    end
    local memory = info('memory')
    local used, most = num(memory.used_memory), num(memory.maxmemory)
    if most > 0 and used * 100 > most * MEMORY_MAX then
        told('wrong', 'Redis uses ' .. math.floor(used * 100 / most) .. ' % of its maxmemory',
            'redis-cli CONFIG SET maxmemory BYTES, and set it in redis.conf')
    end
end

function CHECKS.broker(told, body)
    if set(body['state-fault']) then
        told('wrong', 'the broker cannot write its state file, so it will arm no target: '
            .. body['state-fault'], 'mend the folder of the setting "state" of the broker')
    end
    local awaited = R.brokers_awaited()
    if awaited then
        told('wrong', 'broker ' .. awaited .. ' has not come back since Redis started, so no '
            .. 'target is written', 'start that broker; without it, locks become void')
    end
end

-- The files into which the brokers write the audit.
function CHECKS.audit(told, body)
    R.audit_check(told, body)
end

-- Tokens for more than one machine that soon let no machine in.
local function tokens_ending()
    local names, ids = {}, call('HGETALL', P .. 'token-ids')
    for i = 1, #ids, 2 do
        local token = load(P .. 'token:' .. ids[i + 1]) or {}
        local left = num(token['until']) - now()
        if left > 0 and left < ENDING_MS and num(token.uses) > 1 then
            names[#names + 1] = ids[i] .. ' (' .. token.role .. ', in '
                .. math.ceil(left / 60000) .. ' min)'
        end
    end
    table.sort(names)
    return names
end

function CHECKS.keys(told)
    local pending = {}
    for _, key in ipairs(call('ZRANGE', P .. 'keys', 0, -1)) do
        if R.is_now('key', key, 'pending') then
            pending[#pending + 1] = call('HGET', P .. 'key:' .. key, 'name') or key
        end
    end
    if #pending > 0 then
        told('note', #pending .. ' keys wait for approval: ' .. some(pending, NAMES_MAX),
            'ramet key approve NAME, or ramet key revoke NAME')
    end
    local ending = tokens_ending()
    if #ending > 0 then
        told('note', #ending .. ' tokens that machines enrol with end soon: '
            .. some(ending, NAMES_MAX), 'make others, and put them where the machines read '
            .. 'theirs: ramet key token ROLE --uses N')
    end
end

-- Services that each engine and each sending place must have now.
function CHECKS.services(told)
    local function need_service(service, kind)
        if not R.offered(service) then
            told('wrong', 'no worker offers ' .. service, 'start an ' .. kind .. ' of '
                .. string.match(service, '@(.*)$'))
        end
    end
    for _, engine in ipairs(call('ZRANGE', P .. 'engines', 0, -1)) do
        if R.is_now('approval', 'engine:' .. engine, 'approved') then
            need_service('match@' .. engine, 'installer')
        end
    end
    for _, place in ipairs(call('SMEMBERS', P .. 'sending')) do
        need_service('commit@' .. place, 'imager')
    end
end

-- Peers that are present: their versions, and the space of their stores.
function CHECKS.peers(told, body)
    local others = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'presence', now() - L.PRESENT_MS, '+inf')) do
        local found = call('HMGET', P .. 'agent:' .. id, 'version', 'store-free', 'store-size')
        if (found[1] or '?') ~= body.version then
            others[#others + 1] = id .. ' ' .. (found[1] or '?')
        end
        local free, size = num(found[2] or nil), num(found[3] or nil)
        if size > 0 and free * 100 < size * FREE_MIN then
            told('wrong', 'the store of ' .. id .. ' has ' .. math.floor(free / 1048576)
                .. ' MiB free of ' .. math.floor(size / 1048576) .. ' MiB',
                'ramet image remove NAME, ramet store gc PLACE, or a larger disk')
        end
    end
    if #others > 0 then
        told('note', 'other versions than ' .. (body.version or '?') .. ' of the broker: '
            .. some(others, NAMES_MAX), 'install the same version everywhere')
    end
end

-- Nothing rests on a time of day, but people read it, and it is in each log.
function CHECKS.clocks(told)
    local differ = R.clocks()
    if differ ~= '' then
        told('note', 'the clock is ahead (+) or behind (-) that of the broker: ' .. differ,
            'set the clock of that machine: timedatectl set-ntp true')
    end
end

function CHECKS.targets(told)
    local held, left = {}, {}
    for _, name in ipairs(call('ZRANGE', P .. 'targets', 0, -1)) do
        if R.is_now('hold', name, 'held') then
            held[#held + 1] = name
        end
    end
    for _, name in ipairs(call('ZRANGE', P .. 'locks', 0, -1)) do
        local uid = call('HGET', P .. 'lock:' .. name, 'job')
        if not R.is_now('job-target', uid .. ':t:' .. name, 'open') then
            left[#left + 1] = name
        end
    end
    if #held > 0 then
        told('note', #held .. ' targets are held: ' .. some(held, NAMES_MAX),
            'ramet target show NAME, then ramet target unhold NAME')
    end
    if #left > 0 then
        told('wrong', #left .. ' targets are locked, and no job installs them: '
            .. some(left, NAMES_MAX),
            'ramet deploy start IMAGE --engine ENGINE --targets NAME --take-over')
    end
end

-- A target carries out what persons have signed by the trust root that it was told.
function CHECKS.trust(told)
    if call('EXISTS', P .. 'root-newest') == 0 then
        told('wrong', 'the farm has no trust root, so no target carries out an order',
            'ramet trust create FOLDER --farm NAME')
        return
    end
    local untold = {}
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'presence', now() - L.PRESENT_MS, '+inf')) do
        local name = string.match(id, '^target/(.+)$')
        if name and not set(call('HGET', P .. 'agent:' .. id, 'trust-root')) then
            untold[#untold + 1] = name
        end
    end
    if #untold > 0 then
        told('wrong', #untold .. ' targets were told no trust root, so they carry out no order: '
            .. some(untold, NAMES_MAX), 'set trust-root in the settings of the agent, or '
            .. 'ramet.root= on the command line; see: ramet trust show')
    end
end

function CHECKS.jobs(told)
    for _, uid in ipairs(call('SMEMBERS', P .. 'open')) do
        local text = not R.schedule_text(uid) and R.stuck_brief(uid) -- Its time is no fault
        if text then
            local name = call('HGET', P .. 'job:' .. uid, 'name') or uid
            told('wrong', 'job ' .. name .. ' is stuck: ' .. text, 'ramet job show ' .. name)
        end
    end
end

-- {version, broker, state-fault?, audit-fault?, settings-fault?, redis-replicas?, and settings of
-- Redis}: of the broker that asks.
-- Body {wrong, notes}, items {check, level, text, next}: what is wrong first.
serve('farm_check', function(_, body)
    local items, counts = {}, { wrong = 0, note = 0 }
    for check, run in pairs(CHECKS) do
        run(function(level, text, next_step)
            counts[level] = counts[level] + 1
            items[#items + 1] = { check = check, level = level,
                text = string.sub(text, 1, 300), next = next_step }
        end, body)
    end
    table.sort(items, function(a, b)
        if a.level ~= b.level then
            return a.level == 'wrong'
        end
        return a.check .. a.text < b.check .. b.text
    end)
    for i = 201, #items do
        items[i] = nil
    end
    return { wrong = counts.wrong, notes = counts.note }, items
end)
