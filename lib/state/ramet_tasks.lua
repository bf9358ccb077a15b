-- Tasks, leases, presence of peers.

local LEASE_MS = 15000
local ATTEMPTS_MAX = 20     -- Of any kind: those that a broker could not send count as well
local REPEATS_MAX = 5       -- Of a task that ends, and is put again each time
local DEATHS_MAX = 5        -- Lives of workers that ended with the task in hand
local GRANTS_MAX = 256      -- Of one key: as many as a holder keeps
local DROPPED_MAX = 4096    -- Ended keys that a holder hears of when it greets, and for
local DROPPED_MS = 24 * 3600 * 1000 -- how long: a stream of an ended key is cut by it

local function task_key(id)
    return P .. 'task:' .. id
end

-- A task that one machine alone can do, such as write@target/r12-n01.
local function single(service)
    return string.match(service, '^[a-z]+@(%a+/.+)$')
end

-- Does a service carry GOs?
function R.is_go(service)
    return string.match(service, '^write@') ~= nil
end

-- Stages of one target; true: only while its lock is that of the job.
local PER_TARGET = { order = false, wake = true, prepare = true, write = true, netboot = true,
    reboot = true }

function R.is_per_target(stage)
    return PER_TARGET[stage] ~= nil
end

-- An order for a machine needs the machine's lock.
local function lock_stands(task)
    if not PER_TARGET[task.stage] then
        return true
    end
    return R.lock_stands(task.subject, task.job, task.epoch)
end

local function enqueue(task, first)
    call(first and 'LPUSH' or 'RPUSH', P .. 'queue:' .. task.service, task.id)
    call('SADD', P .. 'queues', task.service)
    call('ZADD', P .. 'services', 0, task.service)
    call('ZADD', P .. 'waiting', now(), task.id)
    call('PUBLISH', P .. 'ready', task.service) -- Of rmt_redis.c
end

local function drop_lease(task)
    call('ZREM', P .. 'leases', task.id)
    call('ZREM', P .. 'silent', task.id)
    call('ZREM', P .. 'waiting', task.id)
    R.stuck_drop(task)
    if set(task.worker) then
        call('SREM', P .. 'held:' .. task.worker, task.id)
    end
end

function R.task_load(id)
    return id and load(task_key(id))
end

-- event: return or repeat.
local function requeue(meta, task, event, text)
    drop_lease(task)
    local attempt = num(task.attempt) + 1
    R.move(meta, 'task', task.id, event, { attempt = attempt, worker = '', nonce = '' },
        { job = task.job, task = task.id, service = task.service, attempt = attempt,
            text = text }, R.state('task', task))
    enqueue(task, true)
end

-- A task that is tried again and again says why in its job, from the second time on, also
-- while it is with a worker.
local function trouble_set(task, count, most, text)
    if count >= 2 then
        task.trouble = 'tried ' .. count .. ' of ' .. most .. ' times: ' .. text
            .. '; see: ramet job logs '
            .. (call('HGET', P .. 'job:' .. task.job, 'name') or task.job)
        call('HSET', task_key(task.id), 'trouble', task.trouble)
        R.stuck_set(task, task.trouble)
    end
end

-- Offer a task that has ended once more, as a later attempt. One that ends each time is
-- given up. again {text, attempts}: why, and how many times it may be put.
local function put_again(meta, task, again)
    local most = num(again.attempts, REPEATS_MAX)
    local count = num(task.repeats, 1)
    if count >= most then
        return false, 'tried ' .. most .. ' times: ' .. again.text
    end
    if R.can('task', task, 'repeat') then
        call('PERSIST', task_key(task.id))
        call('HSET', task_key(task.id), 'repeats', count + 1)
        requeue(meta, task, 'repeat', again.text)
        trouble_set(task, count, most, again.text)
    end
    return true
end

-- The life of the worker that had the task has ended with it, and the worker may have ended
-- by the task: what ends worker after worker is given up by the next task_reap.
local function worker_died(meta, task, text)
    local count = num(task.deaths) + 1
    call('HSET', task_key(task.id), 'deaths', count)
    if count >= DEATHS_MAX then
        call('HSET', task_key(task.id), 'poison', text)
        call('ZREM', P .. 'silent', task.id)
        call('ZADD', P .. 'leases', 0, task.id)
        return
    end
    requeue(meta, task, 'return', text)
    trouble_set(task, count, DEATHS_MAX, text)
end

-- Put a task; the same job, stage and subject is the same task and is put once, but with
-- again also when it has ended. False, and why, when it is for a locked target and the lock
-- is not that of the job, or when it was put too often.
function R.task_put(meta, task, body, again)
    task.epoch = task.epoch or '0'
    if not lock_stands(task) then
        return false, 'the target is no longer locked by this job'
    end
    local old = R.task_load(task.id)
    if old and not again then
        return true
    end
    if not old then
        task.attempt, task.created = '1', wall()
        R.move(meta, 'task', task.id, 'put', task, nil, 'none')
    end
    for name, value in pairs(body) do
        call('HSET', task_key(task.id), 'b.' .. name, value)
    end
    if old then
        return put_again(meta, old, again)
    end
    call('SADD', P .. 'job:' .. task.job .. ':tasks', task.id)
    enqueue(task)
    return true
end

-- event: finish, fail or cancel.
function R.task_end(meta, task, event, note)
    drop_lease(task)
    R.move(meta, 'task', task.id, event, nil, note,
        R.state('task', task))
    call('EXPIRE', task_key(task.id), KEPT_S)
end

-- Cancel a task that is no longer needed; an ended task stays unchanged.
function R.task_cancel(meta, task)
    if task and R.can('task', task, 'cancel') then
        R.task_end(meta, task, 'cancel')
    end
end

-- What a worker needs of a task, its body under b., and for what an engine does for a
-- target its record under r. (packed by the door).
local function task_view(task)
    local view = {}
    for name, value in pairs(task) do
        view[name] = value
    end
    if task.stage == 'order' or task.stage == 'netboot' or task.stage == 'wake' then
        local target = load(P .. 'target:' .. task.subject) or {}
        for name, value in pairs(target) do
            if #name <= 60 then
                view['r.' .. name] = value
            end
        end
        local verdict = P .. 'job:' .. task.job .. ':v:' .. (target.engine or '') .. '/'
            .. task.subject
        if task.stage == 'order' then
            view['b.choice'] = call('HGET', verdict, 'choice') or ''
            view['b.agent-key'] = R.agent_key(task.subject)
        elseif task.stage == 'wake' then
            R.wake_view(view, target)
        end
    end
    return view
end

-- {service, nonce, greeting, n, lease-ms} for the peer meta.by. Nothing when it has greeted
-- anew since, at this broker or another one: the task would be sent to where it no longer
-- listens, and that HELLO does not name it. No GO while a broker is awaited.
-- last, moment: the entry that must be in the broker's state file before it sends a GO.
serve('task_take', function(meta, body)
    local items, answer, queue = {}, { era = R.era() }, P .. 'queue:' .. body.service
    local greeting = call('HGET', P .. 'greetings', meta.by) or ''
    if greeting ~= (body.greeting or '') then
        answer.greet = 'yes' -- Or the HELLO that came last here was an earlier one
        return answer, items
    end
    if R.is_go(body.service) and R.brokers_awaited() then
        return answer, items
    end
    while #items < num(body.n, 1) do
        local id = call('LPOP', queue)
        if not id then
            break
        end
        local task = R.task_load(id)
        local is_queued = R.is('task', task, 'queued')
        if is_queued and not lock_stands(task) then
            R.task_end(meta, task, 'cancel')
            R.target_failed(meta, task.job, task.subject, E.FENCED,
                R.lock_fault(task.subject))
            R.settle(meta, task.job)
        elseif is_queued then
            local lease = now() + num(body['lease-ms'], LEASE_MS)
            R.move(meta, 'task', id, 'take', { worker = meta.by, nonce = body.nonce,
                taken = wall() }, { job = task.job, task = id,
                service = task.service, attempt = task.attempt },
                R.state('task', task))
            call('ZREM', P .. 'waiting', id)
            call('ZADD', P .. 'leases', lease, id)
            call('SADD', P .. 'held:' .. meta.by, id)
            R.stuck_drop(task)
            if set(task.trouble) then
                R.stuck_set(task, task.trouble)
            end
            if task.stage == 'power' then
                R.start_heard(task.job, '')
            elseif task.stage == 'prepare' then
                R.start_heard(task.job, task.subject)
            elseif task.stage == 'write' then
                R.lock_go(task.subject, body.nonce)
                answer.last, answer.moment = last_audit()
            end
            items[#items + 1] = task_view(R.task_load(id))
        end
    end
    if call('LLEN', queue) == 0 then
        call('SREM', P .. 'queues', body.service)
    end
    return answer, items
end)

-- Services that have tasks waiting.
serve('queues', function()
    local items = {}
    for _, service in ipairs(call('SRANDMEMBER', P .. 'queues', 500)) do
        items[#items + 1] = { service = service }
    end
    return {}, items
end)

serve('task_show', function(meta, body)
    local task = need(R.task_load(body.task), E.NOT_FOUND, 'the task does not exist')
    return { task = task.id, job = task.job, stage = task.stage, subject = task.subject,
        service = task.service, state = task.state, attempt = task.attempt,
        worker = task.worker or '', epoch = task.epoch }
end)

-- Is this attempt of the task in the hands of the peer with this key?
function R.task_is_held(task, key, attempt)
    return task and task.worker == key and task.attempt == attempt
        and R.is('task', task, 'in-hand')
end

-- The task, which this attempt of the caller's must hold.
function R.task_held_need(meta, body)
    local task = R.task_load(body.task)
    need(R.task_is_held(task, meta.by, body.attempt), E.FENCED,
        'this attempt is no longer current')
    return task
end

-- {task, attempt}: the caller's broker could not send it.
serve('task_return', function(meta, body)
    local task = R.task_load(body.task)
    if R.task_is_held(task, meta.by, body.attempt) then
        requeue(meta, task, 'return', 'the broker could not send the task')
    end
    return {}
end)

local function renew(meta, task, lease_ms)
    if R.is('task', task, 'silent') then
        R.stuck_drop(task)
        local note = R.stuck_note(task, single(task.service) .. ' is heard again')
        note.stuck = nil
        R.move(meta, 'task', task.id, 'beat', nil, note)
        call('ZREM', P .. 'silent', task.id)
    end
    call('ZADD', P .. 'leases', now() + num(lease_ms, LEASE_MS), task.id)
end

-- items {task, attempt}: renew; gives those that are no longer the caller's.
serve('task_beat', function(meta, body, items)
    local gone = {}
    for _, item in ipairs(items) do
        local task = R.task_load(item.task)
        if R.task_is_held(task, meta.by, item.attempt) then
            renew(meta, task, body['lease-ms'])
        else
            gone[#gone + 1] = { task = item.task, attempt = item.attempt }
        end
    end
    return {}, gone
end)

-- A worker gives a task back undone. REFUSED when it was tried too often.
serve('task_release', function(meta, body)
    local task = R.task_held_need(meta, body)
    need(num(task.attempt) < ATTEMPTS_MAX, E.REFUSED,
        'tried ' .. ATTEMPTS_MAX .. ' times')
    requeue(meta, task, 'return', body.text or 'given back')
    return {}
end)

-- Where a task is, and what it waits for (text); phases are durable, percentages are not.
serve('task_phase', function(meta, body)
    local task = R.task_held_need(meta, body)
    local phases = task['phases-of'] == task.attempt and num(task.phases) or 0
    need(phases < L.PHASES_MAX, E.BUSY, 'this attempt has told ' .. L.PHASES_MAX .. ' phases')
    call('HSET', task_key(task.id), 'phase', body.phase, 'phases', phases + 1,
        'phases-of', task.attempt)
    local job = P .. 'job:' .. task.job
    local event = { job = task.job, task = task.id, service = task.service,
        phase = body.phase, text = body.text or '' }
    if set(body.text) then
        R.stuck_set(task, body.text)
        event.stuck = body.text
    else
        R.stuck_drop(task)
    end
    if single(task.service) and call('EXISTS', job .. ':t:' .. task.subject) == 1 then
        call('HSET', job .. ':t:' .. task.subject, 'phase', body.phase)
        event.target = task.subject
    else
        call('HSET', job, 'phase', body.phase)
    end
    audit(meta, 'task.phase', event)
    return {}
end)

local function due(index, before)
    return call('ZRANGEBYSCORE', P .. index, '-inf', before, 'LIMIT', 0, 200)
end

-- Leases that ran out. A pool's task goes back to its queue; that of one machine turns
-- silent, for it may still run there. items: tasks to be failed by the caller.
serve('task_reap', function(meta, body)
    local failing = {}
    local function give_up(task, text)
        failing[#failing + 1] = { task = task.id, job = task.job, attempt = task.attempt,
            worker = task.worker or '', text = text }
    end
    for _, id in ipairs(due('leases', now())) do
        local task = R.task_load(id)
        if not R.is('task', task, 'in-hand') then
            call('ZREM', P .. 'leases', id)
        elseif set(task.poison) then
            give_up(task, 'set aside after ' .. DEATHS_MAX .. ' attempts: ' .. task.poison
                .. '; look at the log of that worker')
        elseif not R.is('task', task, 'leased') then
            call('ZREM', P .. 'leases', id)
        elseif single(task.service) then
            call('ZREM', P .. 'leases', id)
            call('ZADD', P .. 'silent', now(), id)
            local class, name = string.match(single(task.service), '^(%a+)/(.+)$')
            local text = single(task.service) .. ' is silent; look at the machine and its '
                .. 'network, and see: ramet ' .. class .. ' show ' .. name
            R.move(meta, 'task', id, 'lapse', nil, R.stuck_note(task, text))
            R.stuck_set(task, text)
        elseif num(task.attempt) >= ATTEMPTS_MAX then
            give_up(task, ATTEMPTS_MAX .. ' attempts failed: no worker of ' .. task.service
                .. ' kept the lease; look at their logs, and see: ramet doctor')
        else
            worker_died(meta, task, 'the lease ran out: its worker was silent')
        end
    end
    local silent_s = num(body['silent-s'], 600)
    local before = now() - silent_s * 1000
    for _, id in ipairs(due('silent', before)) do
        local task = R.task_load(id)
        if not R.is('task', task, 'silent') then
            call('ZREM', P .. 'silent', id)
        else
            give_up(task, single(task.service) .. ' was silent for ' .. silent_s
                .. ' s; start the machine again')
        end
    end
    return {}, failing
end)

function R.offered(service)
    return call('ZCOUNT', P .. 'offers:' .. service, now() - L.PRESENT_MS, '+inf') > 0
end

-- ---- Peers

-- The caller's tasks that stand in its name: those in hand go on, the others are
-- offered again, for it says itself that it does not run them.
local function sort_tasks(meta, items, lease_ms, nonce)
    local hand, out = {}, {}
    for _, item in ipairs(items) do
        local task = R.task_load(item.task)
        if R.task_is_held(task, meta.by, item.attempt) then
            hand[item.task] = true
            renew(meta, task, lease_ms)
            out[#out + 1] = { task = task.id, attempt = task.attempt, job = task.job,
                service = task.service, subject = task.subject, stage = task.stage,
                phase = task.phase or '' }
        else
            out[#out + 1] = { task = item.task, attempt = item.attempt, gone = 'yes' }
        end
    end
    for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. meta.by)) do
        local task = R.task_load(id)
        if not task or task.worker ~= meta.by then
            call('SREM', P .. 'held:' .. meta.by, id)
        elseif not hand[id] and R.is('task', task, 'in-hand') then
            if set(task.nonce) and task.nonce ~= nonce then
                worker_died(meta, task, meta.role .. ' ' .. meta.name
                    .. ' ended with the task in hand')
            else
                requeue(meta, task, 'return', 'its worker no longer has the task')
            end
        end
    end
    return out
end

local function offers_end(key)
    for _, service in ipairs(call('HKEYS', P .. 'slots:' .. key)) do
        call('ZREM', P .. 'offers:' .. service, key)
    end
    call('DEL', P .. 'slots:' .. key)
end

-- A key has ended: what it held is offered again, and nothing leads to it any longer. The
-- holders that let it in drop it: at once, or when they greet the next time.
function R.peer_end(meta, key, text)
    for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. key)) do
        local task = R.task_load(id)
        if task and task.worker == key and R.is('task', task, 'in-hand') then
            requeue(meta, task, 'return', text)
        end
    end
    for _, entry in ipairs(call('ZRANGE', P .. 'grants:' .. key, 0, -1)) do
        local place = string.match(entry, '^%S+')
        call('ZREM', P .. 'granted:' .. place, key)
        call('ZADD', P .. 'dropped:' .. place, now(), key)
        call('ZREMRANGEBYSCORE', P .. 'dropped:' .. place, '-inf', now() - DROPPED_MS)
        call('ZREMRANGEBYRANK', P .. 'dropped:' .. place, 0, -DROPPED_MAX - 1)
    end
    offers_end(key)
    call('DEL', P .. 'grants:' .. key, P .. 'data:' .. key)
    call('HDEL', P .. 'greetings', key)
    call('ZREM', P .. 'live', key)
end

-- A peer that no key speaks for any longer. What its agent was stays: a take-over looks at it.
function R.peer_forget(peer)
    call('ZREM', P .. 'presence', peer)
    call('HDEL', P .. 'clocks', peer)
end

-- Two brokers may tell of one peer: what was heard last counts. A broker that starts may be
-- RMT_CLOCK_STEP_MS behind the one that told it; what is later than that comes from a clock
-- that is gone.
local function heard(key, id, at)
    local before = num(call('ZSCORE', P .. key, id))
    if before < at or before > now() + L.CLOCK_STEP_MS then
        call('ZADD', P .. key, at, id)
    end
end

-- services: "name=slots" words.
local function offer(key, services, at, is_new)
    if is_new then
        offers_end(key)
    end
    for _, word in ipairs(words(services)) do
        local service, slots = string.match(word, '^(.*)=(%d+)$')
        if service then
            heard('offers:' .. service, key, at)
        end
        if service and is_new then
            call('ZADD', P .. 'services', 0, service)
            call('HSET', P .. 'slots:' .. key, service, slots)
        end
    end
end

-- {nonce, greeting, services, port, addresses, key, hardware, lease-ms}, items: tasks in hand.
serve('peer_hello', function(meta, body, items)
    local agent = P .. 'agent:' .. meta.role .. '/' .. meta.name
    if call('HGET', agent, 'nonce') ~= body.nonce then
        store(agent, { nonce = body.nonce, since = mark(), identity = body.identity or '' })
    end
    store(agent, { version = body.version or '', ['store-free'] = body['store-free'] or '',
        ['store-size'] = body['store-size'] or '', ['trust-root'] = body['trust-root'] or '' })
    call('HSET', P .. 'greetings', meta.by, body.greeting or '')
    R.own_greet(meta, body.identity)
    if set(body.port) then
        store(P .. 'data:' .. meta.by, { port = body.port, key = body.key or meta.by,
            addresses = body.addresses or '', name = meta.name, role = meta.role,
            place = meta.place or '' })
    end
    if set(body.hardware) and (meta.role == 'source' or meta.role == 'target')
        and call('EXISTS', P .. meta.role .. ':' .. meta.name) == 1 then
        call('HSET', P .. meta.role .. ':' .. meta.name, 'hardware', body.hardware)
    end
    local peer = meta.role .. '/' .. meta.name
    if set(body['clock-ahead-s']) then
        call('HSET', P .. 'clocks', peer, body['clock-ahead-s'])
    else
        call('HDEL', P .. 'clocks', peer)
    end
    heard('live', meta.by, now())
    heard('presence', peer, now())
    offer(meta.by, body.services, now(), true)
    local out = sort_tasks(meta, items, body['lease-ms'], body.nonce)
    audit(meta, 'peer.hello', { role = meta.role, name = meta.name })
    return { era = R.era() }, out
end)

-- items {key, role, name, services, silent-ms}: heard of that long ago.
serve('presence', function(meta, body, items)
    for _, item in ipairs(items) do
        local at = now() - num(item['silent-ms'])
        heard('presence', item.role .. '/' .. item.name, at)
        heard('live', item.key, at)
        offer(item.key, item.services, at, false)
    end
    return {}
end)

local function service_status(service)
    local slots, old = 0, now() - L.PRESENT_MS
    local peers = call('ZRANGEBYSCORE', P .. 'offers:' .. service, old, '+inf')
    for _, key in ipairs(peers) do
        slots = slots + num(call('HGET', P .. 'slots:' .. key, service))
    end
    local queued = call('LLEN', P .. 'queue:' .. service)
    if #peers == 0 and queued == 0 and single(service) then
        return nil
    end
    return { service = service, peers = #peers, slots = slots, queued = queued }
end

-- Peers whose time of day differs from that of their broker, for people; the first few.
function R.clocks()
    local list, out = call('HGETALL', P .. 'clocks'), {}
    for i = 1, math.min(#list, 2 * 20), 2 do
        out[#out + 1] = list[i] .. ' ' .. list[i + 1] .. ' s'
    end
    return table.concat(out, ', ')
end

serve('farm_status', function(meta)
    local items, cursor = page(P .. 'services', meta.cursor, service_status)
    return { era = R.era(), redis = 'ok',
        peers = call('ZCOUNT', P .. 'live', now() - L.PRESENT_MS, '+inf'),
        ['jobs-open'] = call('SCARD', P .. 'open'), ['redis-ms'] = wall(), clocks = R.clocks(),
        locks = call('ZCARD', P .. 'locks') },
        items, cursor
end)

-- True when a task in the caller's hands is a reason to reach that place's data.
local function has_reason(meta, body)
    for _, id in ipairs(call('SMEMBERS', P .. 'held:' .. meta.by)) do
        local task = R.task_load(id)
        local job = task and load(P .. 'job:' .. task.job)
        if job and body.service == 'receive' then
            if task.stage == 'capture' and task['b.place'] == body.place then
                return true
            end
        elseif job and set(body.image) and job.image == body.image then
            return true
        end
    end
    return false
end

local function holders(service)
    local items = {}
    for _, key in ipairs(call('ZRANGEBYSCORE', P .. 'offers:' .. service,
        now() - L.PRESENT_MS, '+inf')) do
        local data = load(P .. 'data:' .. key)
        if data then
            items[#items + 1] = { addresses = data.addresses or '', port = data.port,
                key = data.key, name = data.name }
        end
    end
    return items
end

local function grant(meta, place, key, root, lasting_s)
    local till = now() + lasting_s * 1000
    call('ZADD', P .. 'grants:' .. key, till, place .. ' ' .. root)
    call('ZREMRANGEBYRANK', P .. 'grants:' .. key, 0, -GRANTS_MAX - 1)
    call('ZREMRANGEBYSCORE', P .. 'granted:' .. place, '-inf', now())
    call('ZADD', P .. 'granted:' .. place, 'GT', till, key)
    audit(meta, 'grant', { place = place, key = key, root = root })
    return lasting_s * 1000
end

-- {place, service receive|package|order, image?}: who serves there; the caller is let in.
serve('holders', function(meta, body)
    local service = body.service
    need(service == 'receive' or service == 'package' or service == 'order', E.USAGE,
        'the service must be receive, package or order')
    named(body.place)
    need(has_reason(meta, body), E.NOT_ALLOWED,
        'no task of this worker needs ' .. body.service .. '@' .. body.place)
    local items = holders(body.service .. '@' .. body.place)
    need(#items > 0, E.UNAVAILABLE, 'no worker offers ' .. body.service .. '@' .. body.place
        .. ' now; ask again')
    local root = body.service == 'receive' and '' or body.image
    local left_ms = grant(meta, body.place, meta.by, root, 3600)
    return { place = body.place, root = root, ['left-ms'] = left_ms }, items
end)

-- {image, place?}: the caller may fetch it from its own place, or from an engine that holds
-- it; an engine that does not hold it says so itself.
serve('image_grant', function(meta, body)
    local image = R.image_find(body.image)
    local place = set(body.place) and named(body.place) or image.place
    local items = holders('package@' .. place)
    if #items == 0 then
        items = holders('order@' .. place)
    end
    need(#items > 0, E.UNAVAILABLE, 'no worker serves the store of place ' .. place
        .. ' now; see: ramet doctor')
    local left_ms = grant(meta, place, meta.by, image.id, 600)
    return { image = image.id, name = image.name, place = place, root = image.id,
        signatures = R.signatures(image.id), ['left-ms'] = left_ms }, items
end)

-- {place, name}: the caller may offer chunks of an image that is to be called name.
serve('image_receive', function(meta, body)
    named(body.name)
    need(call('EXISTS', P .. 'image:' .. body.name) == 0, E.EXISTS,
        'the image ' .. body.name .. ' exists already; choose another name')
    local place = body.place
    if not set(place) then
        local places = call('SMEMBERS', P .. 'sending')
        need(#places == 1, E.USAGE, 'the farm has ' .. #places
            .. ' places with an imager; name one with --place')
        place = places[1]
    end
    local items = holders('receive@' .. named(place))
    need(#items > 0, E.UNAVAILABLE, 'place ' .. place
        .. ' has no imager now; see: ramet doctor')
    local left_ms = grant(meta, place, meta.by, '', 600)
    return { place = place, root = '', ['left-ms'] = left_ms }, items
end)

-- What a holder of the place has to know: keys that have ended, then what is left of the
-- grants. With a key: its grants alone.
serve('grants', function(_, body)
    local items, place = {}, body.place
    local function add(key)
        local list = call('ZRANGEBYSCORE', P .. 'grants:' .. key, '(' .. str(now()), '+inf',
            'WITHSCORES')
        for i = 1, #list, 2 do
            local at, root = string.match(list[i], '^(%S+) (.*)$')
            if at == place then
                items[#items + 1] = { op = 'add', key = key, root = root,
                    ['left-ms'] = num(list[i + 1]) - now() }
            end
        end
    end
    if set(body.key) then
        add(body.key)
        return {}, items
    end
    for _, key in ipairs(call('ZRANGE', P .. 'dropped:' .. place, 0, -1)) do
        items[#items + 1] = { op = 'drop', key = key }
    end
    for _, key in ipairs(call('ZRANGEBYSCORE', P .. 'granted:' .. place, now(), '+inf')) do
        add(key)
    end
    return {}, items
end)
