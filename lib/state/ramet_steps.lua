-- How a job moves on: the broker reads a view, decides, and gives the decision back as
-- a list of operations, which is carried out only if nothing else moved the job since.

local READY_MAX = 200

-- {job, task?}: body: the job; items {what image|task|target|ready ...}. In the stage
-- install the targets that can begin are listed.
serve('job_view', function(meta, body)
    local job = load(P .. 'job:' .. body.job)
    need(job, E.NOT_FOUND, 'no job ' .. body.job)
    local items = {}
    local image = set(job.image) and call('HGET', P .. 'image-ids', job.image)
    image = image and load(P .. 'image:' .. image)
    if image then
        image.what = 'image'
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
            items[#items + 1] = target
        end
    end
    if job.stage == 'install' and not task then
        local ready = P .. 'job:' .. job.id .. ':ready'
        for _, name in ipairs(call('ZRANGE', ready, 0, READY_MAX - 1)) do
            local record = load(P .. 'job:' .. job.id .. ':t:' .. name)
            record.what = 'ready'
            items[#items + 1] = record
        end
    end
    return job, items
end)

-- {stuck-s, silent-s}: how much of each kind the other functions would find, and the newest
-- id of the stream. An idle farm is asked this alone, once a second.
serve('scan', function(_, body)
    local time = now()
    local function due(index, since_s)
        return call('ZCOUNT', P .. index, '-inf', time - since_s * 1000)
    end
    return { audit = last_audit(), drive = call('SCARD', P .. 'drive'),
        queues = call('SCARD', P .. 'queues'),
        stuck = due('waiting', num(body['stuck-s'], 60)),
        late = due('leases', 0) + due('silent', num(body['silent-s'], 600)),
        boots = due('boots', 0) }
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

local function targets_in(job, states, engine)
    local found = {}
    for _, name in ipairs(call('ZRANGE', P .. 'job:' .. job.id .. ':targets', 0, -1)) do
        local target = load(P .. 'job:' .. job.id .. ':t:' .. name) or {}
        if states[target.state] and (not engine or target.engine == engine) then
            found[#found + 1] = target
        end
    end
    return found
end

local OPEN = { waiting = true, locked = true, running = true }
local OPS = {}

-- {task, service, stage, subject, from?, again?, b.*}; from: a task whose body comes
-- first; again: it is put once more when it has ended.
function OPS.task(meta, job, op)
    local body = {}
    for name, value in pairs(set(op.from) and load(P .. 'task:' .. op.from) or {}) do
        if string.sub(name, 1, 2) == 'b.' then
            body[string.sub(name, 3)] = value
        end
    end
    for name, value in pairs(op) do
        if string.sub(name, 1, 2) == 'b.' then
            body[string.sub(name, 3)] = value
        end
    end
    local task = { id = op.task, job = job.id, stage = op.stage, subject = op.subject,
        service = op.service }
    local per_target = R.is_per_target(op.stage)
    local key = P .. 'job:' .. job.id .. ':t:' .. op.subject
    if per_target then
        local target = load(key)
        if not target or not OPEN[target.state] then
            return
        end
        task.epoch = target.epoch
    end
    local ok, why = R.task_put(meta, task, body, set(op.again))
    if not ok then
        R.target_failed(meta, job.id, op.subject, E.FENCED, why)
    elseif per_target then
        call('HSET', key, 'task', op.task)
    end
end

-- {set.*, count.*, state?, code?, text?}; a state that ends the job ends it.
function OPS.job(meta, job, op)
    for name, value in pairs(op) do
        local field = string.match(name, '^set%.(.+)$')
        if field then
            store(P .. 'job:' .. job.id, { [field] = value })
        end
        field = string.match(name, '^count%.(.+)$')
        if field then
            call('HINCRBY', P .. 'job:' .. job.id, field, value)
        end
    end
    if set(op.state) and op.state ~= 'running' then
        R.job_end(meta, job.id, op.state, op.code, op.text)
    elseif set(op.state) and op.state ~= job.state then
        store(P .. 'job:' .. job.id, { state = op.state })
        audit(meta, 'job.state', { job = job.id, state = op.state })
    end
end

-- A warning beside those that are told already; the same one once.
local function with_warning(old, new)
    if not set(new) or not set(old) then
        return new
    end
    return string.find(old, new, 1, true) and old or old .. '; ' .. new
end

function OPS.target(meta, job, op)
    local record = load(P .. 'job:' .. job.id .. ':t:' .. op.target)
    if record and OPEN[record.state] then
        R.target_step(meta, job.id, op.target, { state = op.state, phase = op.phase,
            warning = with_warning(record.warning, op.warning), text = op.warning })
    end
end

function OPS.failed(meta, job, op)
    R.target_failed(meta, job.id, op.target, op.code, op.text)
end

-- Targets of an engine, or all, that are not armed fail or are cancelled.
function OPS.stop(meta, job, op)
    for _, target in ipairs(targets_in(job, OPEN, set(op.engine) and op.engine)) do
        local lock = load(P .. 'lock:' .. target.name)
        if not (lock and lock.job == job.id and set(lock.armed)) then
            R.target_failed(meta, job.id, target.name, op.code, op.text)
        end
    end
end

function OPS.lock(meta, job)
    R.lock_set(meta, load(P .. 'job:' .. job.id))
end

function OPS.built(meta, job, op)
    for _, target in ipairs(targets_in(job, { locked = true }, op.engine)) do
        call('ZADD', P .. 'job:' .. job.id .. ':ready', 0, target.name)
    end
    call('SADD', P .. 'drive', job.id)
end

function OPS.arm(meta, job, op)
    R.arm(meta, job, op)
end

function OPS.boot(meta, job, op)
    local record = load(P .. 'job:' .. job.id .. ':t:' .. op.target)
    if record and OPEN[record.state] then
        R.target_step(meta, job.id, op.target, { phase = 'awaiting-first-boot',
            ['awaiting-since'] = now() })
        call('ZADD', P .. 'boots', now() + num(op['timeout-s'], 900) * 1000,
            job.id .. '/' .. op.target)
    end
end

function OPS.image(meta, job, op)
    local fields = {}
    for name, value in pairs(op) do
        local field = string.match(name, '^set%.(.+)$')
        if field then
            fields[field] = value
        end
    end
    R.image_write(meta, fields)
end

function OPS.drive(meta, job)
    call('SADD', P .. 'drive', job.id)
end

-- Check that a result may still count. True when it stands already.
local function result_stands(meta, body, task)
    need(task, E.NOT_FOUND, 'no such task')
    if task.state == 'done' or task.state == 'failed' or task.state == 'cancelled' then
        return true
    end
    need(task.attempt == body.attempt and task.worker == body.worker
        and (task.state == 'leased' or task.state == 'silent'), E.FENCED,
        'attempt ' .. (body.attempt or '?') .. ' is no longer current')
    return false
end

-- {job, rev, task?, attempt, worker, code, text}, items: operations. One call records a
-- result and what follows from it. FENCED with body again=yes: the job moved on since the
-- view was read; look again.
serve('job_step', function(meta, body, items)
    local job = need(load(P .. 'job:' .. body.job), E.NOT_FOUND, 'no job ' .. body.job)
    local task = set(body.task) and R.task_load(body.task)
    if set(body.task) and result_stands(meta, body, task) then
        return { recorded = 'before' }
    end
    if job.rev ~= body.rev then
        return { again = 'yes', rev = job.rev }
    end
    call('HINCRBY', P .. 'job:' .. job.id, 'rev', 1)
    call('SREM', P .. 'drive', job.id)
    if task then
        local ok = num(body.code) == 0
        R.task_end(task, ok and 'done' or 'failed')
        audit(meta, 'task.result', { job = job.id, task = task.id, service = task.service,
            attempt = task.attempt, code = body.code, text = body.text or '' })
    end
    for _, op in ipairs(items) do
        if not call('HGET', P .. 'job:' .. job.id, 'ended') then
            OPS[op.op](meta, job, op)
        end
    end
    R.settle(meta, job.id)
    local driven = call('SISMEMBER', P .. 'drive', job.id) == 1
    return { recorded = 'now', driven = tostring(driven) }
end)
