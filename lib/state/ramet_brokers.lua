-- What a start of Redis means: it may have come back from an older copy, and what it has lost
-- may be known to one broker alone, the one that sent a GO. So each broker has a record, and
-- after a start of Redis no GO is handed out before all of them have told what they know, or
-- the era is raised (1-wire.md, 12).
--
-- A record is made when its broker opens Redis, so before its first GO; a copy without the
-- record is from before that GO too. It goes when the era is raised without its broker: then
-- all is void that this broker may know.

local WAIT_S = 120  -- For a broker, when the one that scans does not say it

-- Another number for each start of Redis.
local function run_of_redis()
    return string.match(call('INFO', 'server'), 'run_id:(%x+)')
end

-- The broker of this id has told the youngest entry that it knows. name: for people.
function R.broker_opened(id, name)
    local run = run_of_redis()
    if run and call('GET', P .. 'run') ~= run then
        call('SET', P .. 'run', run)
        call('DEL', P .. 'awaited')
        for _, other in ipairs(call('HKEYS', P .. 'broker-ids')) do
            call('SADD', P .. 'awaited', other)
        end
        call('SET', P .. 'awaited-since', mark())
    end
    if set(id) then
        call('HSET', P .. 'broker-ids', id, set(name) and name or id)
        call('SREM', P .. 'awaited', id)
    end
end

-- The names of the brokers that have not opened Redis since it started, with commas; nil
-- when there are none, so that what Redis has is what was handed out.
function R.brokers_awaited()
    local names = {}
    for _, id in ipairs(call('SMEMBERS', P .. 'awaited')) do
        names[#names + 1] = call('HGET', P .. 'broker-ids', id) or id
    end
    return names[1] and some(names, 3)
end

-- wait_s: for how long the era is kept for a broker that stays away.
function R.brokers_look(meta, wait_s)
    local names = R.brokers_awaited()
    local since = num(call('GET', P .. 'awaited-since'))
    if not names or now() - since < num(wait_s, WAIT_S) * 1000 then
        return
    end
    for _, id in ipairs(call('SMEMBERS', P .. 'awaited')) do
        call('HDEL', P .. 'broker-ids', id)
    end
    call('DEL', P .. 'awaited')
    R.era_raise(meta, num(R.era()) + 1, 'Redis has started, and broker ' .. names
        .. ' has not come back: it may know of a GO that Redis has lost')
end
