-- How a job moves on: the broker reads a view, decides, and gives the decision back as
-- a list of operations, which is carried out only if nothing else moved the job since.

-- {job, task?}: body: the job; items {what image|task|target|ready ...}. In the stage
-- install the targets that can begin are listed.
serve('job_view', function(meta, body)
    local job = load(P .. 'job:' .. body.job)
    need(job, E.NOT_FOUND, 'the job ' .. body.job .. ' does not exist')
    local items = {}
    local image = set(job.image) and call('HGET', P .. 'image-ids', job.image)
    image = image and load(P .. 'image:' .. image)
    if image then
        image.what, image.signatures = 'image', R.signatures(image.id)
        if job.stage ~= 'start' then    -- Only matching needs the bulk of it
            image.hardware, image.layout = nil, nil
        end
        items[#items + 1] = image
    end
    local task = set(body.task) and load(P .. 'task:' .. body.task)
    if task then
        items[#items + 1] = { what = 'task', task = task.id, stage = task.stage,
            subject = task.subject, service = task.service, attempt = task.attempt,
            state = task.state, epoch = task.epoch, worker = task.worker or '' }
        local target = load(P .. 'job:' .. job.id .. ':t:' .. task.subject)
        if target then
            target.what = 'target'
            target.warrant = task.stage == 'order' and R.warrant(job.id, task.subject) or nil
            target.asleep = task.stage == 'order' and R.is_asleep(job, task.subject) and 'yes'
                or nil
            items[#items + 1] = target
        end
    end
    if job.stage == 'install' and not task and not R.is_shut(job) then
        local ready = P .. 'job:' .. job.id .. ':ready'
        for _, name in ipairs(call('ZRANGE', ready, 0, L.READY_MAX - 1)) do
            local record = load(P .. 'job:' .. job.id .. ':t:' .. name)
            record.what = 'ready'
            items[#items + 1] = record
        end
    end
    return job, items
end)

-- {broker, stuck-s, silent-s}: how much of each kind the other functions would find, and the newest
-- id of the stream. An idle farm is asked this alone, once a second.
serve('scan', function(meta, body)
    local time = now()
    R.broker_heard(body.broker)
    R.brokers_look(meta, body['broker-wait-s'])
    local function due(index, since_s)
        return call('ZCOUNT', P .. index, '-inf', time - since_s * 1000)
    end
    return { clock = time, audit = last_audit(), drive = call('SCARD', P .. 'drive'),
        queues = call('SCARD', P .. 'queues'),
        stuck = due('waiting', num(body['stuck-s'], 12)),
        late = due('leases', 0) + due('silent', num(body['silent-s'], 600)),
        boots = due('boots', 0), later = due('later', 0) }
end)

serve('drive_list', function()
    local items = {}
    for _, uid in ipairs(call('SRANDMEMBER', P .. 'drive', 200)) do
        if call('EXISTS', P .. 'job:' .. uid) == 1 then
            items[#items + 1] = { job = uid }
        else
            call('SREM', P .. 'drive', uid)
        end
    end
    return {}, items
end)

-- ---- Operations: what the broker may ask for in one step (docs/spec/6-states.md)

-- Each has the names of the arguments that it needs, perhaps a check, which is made before
-- the first write of the step and refuses, and run.
local OPS = {}
R.operations = OPS

local function step_key(job, target)
    return P .. 'job:' .. job.id .. ':t:' .. target
end

-- Targets of the job, or those of one engine, in the states that a word names.
local function targets_in(job, word, engine)
    local found = {}
    for _, name in ipairs(call('ZRANGE', P .. 'job:' .. job.id .. ':targets', 0, -1)) do
        local target = load(step_key(job, name)) or {}
        if R.is('job-target', target, word)
            and (not set(engine) or target.engine == engine) then
            found[#found + 1] = target
        end
    end
    return found
end

-- The fields of an operation whose names begin with a prefix, under the rest of the name.
local function fields_under(prefix, op)
    local fields = {}
    for name, value in pairs(op) do
        if string.sub(name, 1, #prefix) == prefix then
            fields[string.sub(name, #prefix + 1)] = value
        end
    end
    return fields
end

-- {task, service, stage, subject, from?, again?, attempts?, text?, b.*}; from: a task whose
-- body comes first; again: it is put once more when it has ended, up to so many attempts
-- (5), and why.
OPS.task = { needs = { 'task', 'service', 'stage', 'subject' } }

function OPS.task.run(meta, job, op)
    local body = fields_under('b.', set(op.from) and load(P .. 'task:' .. op.from) or {})
    for name, value in pairs(fields_under('b.', op)) do
        body[name] = value
    end
    local task = { id = op.task, job = job.id, stage = op.stage, subject = op.subject,
        service = op.service }
    local per_target = R.is_per_target(op.stage)
    if per_target then
        local target = load(step_key(job, op.subject))
        if not R.is('job-target', target, 'open') then
            return
        end
        task.epoch = target.epoch
    end
    local again = set(op.again) and { attempts = op.attempts,
        text = set(op.text) and op.text or 'its machine has refused the GO before' }
    local ok, why = R.task_put(meta, task, body, again)
    if not ok and not per_target then
        R.job_end(meta, job.id, 'fail', E.UNAVAILABLE, why)
    elseif not ok then
        R.target_failed(meta, job.id, op.subject, E.FENCED, why)
    elseif per_target then
        call('HSET', step_key(job, op.subject), 'task', op.task)
    end
end

-- {event?, code?, text?, set.*, count.*}
OPS.job = { needs = {} }

local FIXED = { state = true, id = true, kind = true, rev = true, ended = true }
local COUNT_MAX = 1e12 -- Redis counts to 9e18, and would refuse more behind a write

function OPS.job.check(job, op)
    for field in pairs(fields_under('set.', op)) do
        need(not FIXED[field], E.USAGE, 'the operation job cannot set ' .. field)
    end
    for field, value in pairs(fields_under('count.', op)) do
        need(string.find(value, '^-?%d+$') and math.abs(num(value)) <= COUNT_MAX, E.USAGE,
            field .. ' cannot be counted by ' .. value)
    end
end

function OPS.job.run(meta, job, op)
    put(P .. 'job:' .. job.id, fields_under('set.', op))
    for field, value in pairs(fields_under('count.', op)) do
        call('HINCRBY', P .. 'job:' .. job.id, field, value)
    end
    if op.event == 'begin' then
        R.move(meta, 'job', job.id, 'begin', nil, { job = job.id })
    elseif set(op.event) then
        R.job_end(meta, job.id, op.event, op.code, op.text)
    end
end

-- A warning beside those that are told already; the same one once.
local function with_warning(old, new)
    if not set(new) or not set(old) then
        return new
    end
    return string.find(old, new, 1, true) and old or old .. '; ' .. new
end

-- {target, event?, phase?, warning?, signed-by?}
OPS.target = { needs = { 'target' } }

function OPS.target.check(_, op)
    need(not set(op.event) or op.event == 'begin', E.USAGE,
        'the operation target takes the event begin alone')
end

function OPS.target.run(meta, job, op)
    local record = load(step_key(job, op.target))
    local event = set(op.event) and op.event or nil
    if R.is('job-target', record, 'open')
        and (not event or R.can('job-target', record, event)) then
        local warning = with_warning(record.warning, op.warning)
        R.target_step(meta, job.id, op.target, { phase = op.phase, warning = warning,
            text = op.warning, ['signed-by'] = op['signed-by'] }, event, record)
    end
end

-- {target, code, text, hold?}
OPS.failed = { needs = { 'target', 'code' } }

function OPS.failed.run(meta, job, op)
    R.target_failed(meta, job.id, op.target, op.code, op.text)
    if set(op.hold) then
        R.hold(meta, op.target, op.text .. '; when that is mended: ramet target unhold '
            .. op.target)
    end
end

-- {engine?, code, text}: targets of an engine, or all, that are not armed fail.
OPS.stop = { needs = { 'code' } }

function OPS.stop.run(meta, job, op)
    for _, target in ipairs(targets_in(job, 'open', op.engine)) do
        if not R.is_armed_by(target.name, job.id) then
            R.target_failed(meta, job.id, target.name, op.code, op.text)
        end
    end
end

-- {}
OPS.lock = { needs = {} }

function OPS.lock.run(meta, job)
    R.lock_set(meta, load(P .. 'job:' .. job.id))
end

-- {engine}: its locked targets are listed as those that can begin.
OPS.built = { needs = { 'engine' } }

function OPS.built.run(_, job, op)
    for _, target in ipairs(targets_in(job, 'locked', op.engine)) do
        call('ZADD', P .. 'job:' .. job.id .. ':ready', 0, target.name)
    end
end

-- {target, task, plan, nonce, key}
OPS.arm = { needs = { 'target', 'task', 'plan', 'nonce', 'key' } }

function OPS.arm.run(meta, job, op)
    R.arm(meta, job, op)
end

-- {target, timeout-s}: its machine was switched on.
OPS.await = { needs = { 'target', 'timeout-s' } }

function OPS.await.run(meta, job, op)
    local record = load(step_key(job, op.target))
    if R.is('job-target', record, 'open') then
        R.target_step(meta, job.id, op.target, { phase = 'awaiting-agent' }, nil, record)
        R.start_awaited(job.id, op.target, num(op['timeout-s']))
    end
end

-- {target, timeout-s}
OPS.boot = { needs = { 'target', 'timeout-s' } }

function OPS.boot.run(meta, job, op)
    local record = load(step_key(job, op.target))
    if R.is('job-target', record, 'open') then
        R.target_step(meta, job.id, op.target, { phase = 'awaiting-first-boot',
            ['awaiting-since'] = now() }, nil, record)
        R.start_awaited(job.id, op.target, num(op['timeout-s']))
    end
end

-- {set.name, set.id, set.*, sign.key?, sign.signature?}
OPS.image = { needs = { 'set.name', 'set.id' } }

function OPS.image.check(job, op)
    need(R.image_is_reserved(op['set.name'], job.id), E.REFUSED, 'image '
        .. op['set.name'] .. ' differs from the image that job ' .. job.name .. ' makes')
    if set(op['sign.key']) then
        R.signature_need(op['sign.key'], op['sign.signature'])
    end
end

function OPS.image.run(meta, _, op)
    R.image_write(meta, fields_under('set.', op))
    if set(op['sign.key']) then
        R.signature_put(meta, op['set.id'], op['sign.key'], op['sign.signature'])
    end
end

-- {}
OPS.drive = { needs = {} }

function OPS.drive.run(_, job)
    call('SADD', P .. 'drive', job.id)
end

-- Refuse a list of operations that cannot be carried out whole; nothing is written yet.
local function ops_check(job, items)
    local state = job.state
    for _, op in ipairs(items) do
        local def = OPS[op.op] or fail(E.USAGE, 'the operation ' .. tostring(op.op)
            .. ' does not exist')
        for _, name in ipairs(def.needs) do
            if not set(op[name]) then
                fail(E.USAGE, 'operation ' .. op.op .. ' needs ' .. name)
            end
        end
        if def.check then
            def.check(job, op)
        end
        local is_open = R.is('job', { state = state }, 'open')
        if op.op == 'job' and set(op.event) and is_open then
            state = R.after('job', state, op.event) or fail(E.REFUSED,
                'job ' .. job.name .. ' is ' .. state .. '; it cannot ' .. op.event)
        end
    end
end

-- Check that a result may still count. True when it stands already.
local function result_stands(body, task)
    need(task, E.NOT_FOUND, 'the task does not exist')
    if R.is('task', task, 'ended') then
        return true
    end
    need(R.task_is_held(task, body.worker, body.attempt), E.FENCED,
        'attempt ' .. (body.attempt or '?') .. ' is no longer current')
    return false
end

-- What the worker of a failed task wrote into its log last stays with the target, or with the
-- job. at: of the audit entry before it.
local function log_keep(job, task, log)
    local per_target = R.is_per_target(task.stage)
    local key = per_target and step_key(job, task.subject) or P .. 'job:' .. job.id
    if set(log) and call('EXISTS', key) == 1 then
        put(key, { log = string.sub(log, -L.LOG_MAX), ['log-at'] = last_audit() })
    end
end

local function ops_run(meta, job, items)
    for _, op in ipairs(items) do
        if R.is_now('job', job.id, 'open') then
            OPS[op.op].run(meta, job, op)
        end
    end
end

-- A step of the job cannot be carried out, and could not at any further try: what it was
-- about fails with the reason. Targets that are armed go on. task: whose result it was.
local function give_up(meta, job, task, code, why)
    local text = (task and 'what ' .. task.service .. ' gave' or 'the next step of this job')
        .. ' cannot be recorded: ' .. str(why or '')
        .. '; install one version of ramet on all machines, and start it again'
    if job.kind ~= 'deploy' then
        R.job_end(meta, job.id, 'fail', code, text)
    elseif task and R.is_per_target(task.stage) then
        R.target_failed(meta, job.id, task.subject, code, text)
    else
        local engine = task and task.stage == 'build' and task.subject or nil
        OPS.stop.run(meta, job, { engine = engine, code = code, text = text })
    end
end

-- {job, rev, task?, attempt, worker, code, text, log?}, items: operations. One call records a
-- result and what follows from it. Body again=yes: the job moved on since the view was
-- read; look again. error: why the operations broke off.
serve('job_step', function(meta, body, items)
    local job = need(load(P .. 'job:' .. body.job), E.NOT_FOUND, 'the job ' .. body.job
        .. ' does not exist')
    local task = set(body.task) and R.task_load(body.task)
    if set(body.task) and result_stands(body, task) then
        return { recorded = 'before' }
    end
    if job.rev ~= body.rev then
        return { again = 'yes', rev = job.rev }
    end
    ops_check(job, items)
    call('HINCRBY', P .. 'job:' .. job.id, 'rev', 1)
    if not task then    -- A result says nothing of what else can begin
        call('SREM', P .. 'drive', job.id)
    else
        R.task_end(meta, task, num(body.code) == 0 and 'finish' or 'fail', { job = job.id,
            task = task.id, service = task.service, attempt = task.attempt,
            code = body.code, text = body.text or '' })
        log_keep(job, task, body.log)
        if task.stage == 'write' and num(body.code) == 0 then
            R.secret_written(task.subject)
        end
    end
    local ok, broken = pcall(ops_run, meta, job, items)
    if not ok then
        local told = type(broken) == 'table' and broken or { text = broken }
        broken = str(told.text or told.err)
        give_up(meta, job, task, told.code or E.INTERNAL, broken)
    end
    R.settle(meta, job.id)
    R.schedule_look(meta, job.id)
    local driven = call('SISMEMBER', P .. 'drive', job.id) == 1
    return { recorded = 'now', driven = tostring(driven), error = broken }
end)

-- {job, rev?, task?, attempt, worker, code, text}: job_step refuses this result, or what
-- follows without one, and would at each further try over this rev; with another one body
-- again=yes. Without rev job_view itself was refused.
serve('job_give_up', function(meta, body)
    local job = need(load(P .. 'job:' .. body.job), E.NOT_FOUND, 'the job ' .. body.job
        .. ' does not exist')
    local task = set(body.task) and R.task_load(body.task)
    if set(body.task) and result_stands(body, task) then
        return {}
    end
    if set(body.rev) and job.rev ~= body.rev then
        return { again = 'yes', rev = job.rev }
    end
    call('HINCRBY', P .. 'job:' .. job.id, 'rev', 1)
    call('SREM', P .. 'drive', job.id)
    if task then
        R.task_end(meta, task, 'fail', { job = job.id, task = task.id,
            service = task.service, attempt = task.attempt, code = body.code,
            text = body.text })
    end
    give_up(meta, job, task, body.code, body.text)
    R.settle(meta, job.id)
    return {}
end)
