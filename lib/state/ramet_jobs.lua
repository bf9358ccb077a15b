-- Jobs: making, showing, ending them, and the targets in them.

local JOB_BULKY = { ['b.hardware'] = true, log = true, ['log-at'] = true, machines = true }

local function job_key(uid)
    return P .. 'job:' .. uid
end

local function target_key(uid, target)
    return P .. 'job:' .. uid .. ':t:' .. target
end

-- A uid, or the beginning of a j- name that fits one job alone.
function R.job_find(text)
    need(set(text), E.USAGE, 'the request names no job; see: ramet job list')
    local unknown = 'the job ' .. text .. ' does not exist; see: ramet job list'
    if string.find(text, '^%x+$') and #text == 32 then
        return need(load(job_key(text)), E.NOT_FOUND, unknown)
    end
    local names = call('ZRANGEBYLEX', P .. 'job-names', '[' .. text,
        '[' .. text .. '\255', 'LIMIT', 0, 2)
    need(#names > 0, E.NOT_FOUND, unknown)
    need(#names == 1, E.USAGE, 'several jobs begin with ' .. text
        .. '; write more of the name')
    local uid = string.match(names[1], ':(%x+)$')
    return need(load(job_key(uid)), E.NOT_FOUND, unknown)
end

-- Change a target of a job: its fields and, when an event is given, its state. record:
-- the target's, if the caller has read it in this call and changed nothing since; nil: it
-- is read here.
function R.target_step(meta, uid, target, fields, event, record)
    local key = target_key(uid, target)
    record = record or load(key)
    if not record then
        return
    end
    local note = { job = uid, target = target, phase = fields.phase or record.phase or '',
        state = record.state, code = fields.code or '',
        text = fields.error or fields.text or '' }
    if event then
        R.move(meta, 'job-target', uid .. ':t:' .. target, event, fields, note,
            R.state('job-target', record))
    else
        store(key, fields)
        audit(meta, 'job.target', note)
    end
end

-- End a target of a job; phase: the word for it. One that has ended stays as it is.
local function target_stop(meta, uid, target, event, phase, code, text)
    local record = load(target_key(uid, target))
    if not R.is('job-target', record, 'open') then
        return
    end
    R.task_cancel(meta, set(record.task) and R.task_load(record.task))
    R.target_step(meta, uid, target, { code = code, error = text,
        phase = record.phase ~= 'awaiting-first-boot' and phase or nil,
        ['failed-phase'] = record.phase }, event, record)
    R.unlock(meta, target, uid, text)
end

function R.target_failed(meta, uid, target, code, text)
    target_stop(meta, uid, target, 'fail', 'failed', code, text)
end

-- What a cancel leaves of a target: the word for its phase, and what has become of it. After
-- ARM its lock stays, for its disk may be half written.
local function cancel_words(job, target, record)
    if not R.is_armed_by(target, job.id) then
        return 'cancelled', 'cancelled'
    end
    local task = R.task_load(record.task) or {}
    local phase, left = 'cancelled, half written', 'while its disk was written; its lock is kept'
    if task.stage == 'netboot' then
        phase, left = 'cancelled, written', 'after its disk was written, before its next '
            .. 'netboot leads to that disk; its lock is kept'
    elseif task.stage == 'reboot' then
        phase, left = 'cancelled, written', 'after its disk was written; its lock is kept '
            .. 'until its first boot reports, so restart the machine'
    elseif task.stage == 'write' and R.is('task', task, 'queued') then
        R.lock_unwritten(target, job.id) -- No agent has this GO
        if task.attempt == '1' then
            phase, left = 'cancelled, not written', 'before its disk was written by this job; '
                .. 'its lock is kept'
        end
    end
    return phase, 'cancelled ' .. left .. '; to install it again: ramet deploy start '
        .. job['image-name'] .. ' --engine ' .. record.engine .. ' --targets ' .. target
        .. ' --take-over'
end

local function target_cancel(meta, job, target, record)
    if R.is('job-target', record, 'running') then
        call('HINCRBY', job_key(job.id), 'started', -1) -- Another one may be the canary
    end
    local phase, text = cancel_words(job, target, record)
    target_stop(meta, job.id, target, 'cancel', phase, E.CANCELLED, text)
    return load(target_key(job.id, target))
end

-- Call fn(target, record) for each target of a job.
function R.targets_each(uid, fn)
    for _, target in ipairs(call('ZRANGE', job_key(uid) .. ':targets', 0, -1)) do
        fn(target, load(target_key(uid, target)) or {})
    end
end

local function expire_all(uid)
    local key = job_key(uid)
    R.targets_each(uid, function(target)
        call('EXPIRE', target_key(uid, target), KEPT_S)
    end)
    for _, mark in ipairs(call('ZRANGE', key .. ':verdicts', 0, -1)) do
        call('EXPIRE', key .. ':v:' .. mark, KEPT_S)
    end
    for _, part in ipairs({ '', ':targets', ':relays', ':ready', ':verdicts', ':tasks', ':log',
        ':findings', ':warrants' }) do
        call('EXPIRE', key .. part, KEPT_S)
    end
end

-- event: finish, finish-in-part, fail or cancel.
function R.job_end(meta, uid, event, code, text)
    local job = load(job_key(uid))
    if not R.is('job', job, 'open') then
        return
    end
    for _, id in ipairs(call('SMEMBERS', job_key(uid) .. ':tasks')) do
        R.task_cancel(meta, R.task_load(id))
    end
    R.move(meta, 'job', uid, event, { stage = 'end', ended = wall(), code = code or '0',
        error = text or '' },
        { job = uid, code = code or '0', text = text or '' })
    call('SREM', P .. 'open', uid)
    call('SREM', P .. 'drive', uid)
    R.schedule_drop(uid)
    R.image_drop(meta, job['image-name'] or '', uid)
    expire_all(uid)
end

-- End a job over targets when all of them have ended; else, when one more has ended, let it
-- be driven on, for canaries and the limit of failures look at every end.
function R.settle(meta, uid)
    local job = load(job_key(uid))
    if not R.is('job', job, 'open') or job.kind ~= 'deploy' then
        return
    end
    local done, failed, cancelled = num(job['t-done']), num(job['t-failed']),
        num(job['t-cancelled'])
    local total, ended = num(job.targets), done + failed + cancelled
    if ended < total then
        store(job_key(uid), { settled = ended })
        if job.stage == 'install' and ended ~= num(job.settled) then
            -- A step that was decided before this end must not take the mark away.
            call('HINCRBY', job_key(uid), 'rev', 1)
            call('SADD', P .. 'drive', uid)
        end
    elseif done == total then
        R.job_end(meta, uid, 'finish')
    elseif done > 0 then
        R.job_end(meta, uid, 'finish-in-part', E.OK, (total - done) .. ' of ' .. total
            .. ' targets were not installed')
    elseif failed > 0 then
        R.job_end(meta, uid, 'fail', E.REFUSED, 'no target was installed')
    else
        R.job_end(meta, uid, 'cancel', E.CANCELLED, 'cancelled')
    end
end

-- meta: job, job-name, by. targets: names, for a job over targets.
function R.job_new(meta, kind, fields, targets)
    targets = targets or {}
    need(set(meta.job), E.INTERNAL, 'a new job needs its uid')
    local uid = meta.job
    for name, value in pairs(fields) do
        call('HSET', job_key(uid), name, str(value))
    end
    R.move(meta, 'job', uid, 'submit', { id = uid, name = meta['job-name'], kind = kind,
        stage = fields.due and 'wait' or 'start', rev = 1, created = wall(), began = now(),
        ['epoch-at'] = call('GET', P .. 'epoch') or '0', by = meta.name or meta.by or '', targets = #targets,
        ['t-waiting'] = #targets }, { job = uid, kind = kind })
    for _, target in ipairs(targets) do
        local found = call('HMGET', P .. 'target:' .. target, 'engine', 'confirmed-epoch')
        R.move(meta, 'job-target', uid .. ':t:' .. target, 'add', { name = target,
            phase = 'matched', engine = found[1] or '', ['confirmed-was'] = found[2] or '0' },
            nil, 'none')
        call('ZADD', job_key(uid) .. ':targets', 0, target)
    end
    call('ZADD', P .. 'jobs', now(), uid)
    call('ZADD', P .. 'job-names', 0, meta['job-name'] .. ':' .. uid)
    call('SADD', P .. 'open', uid)
    if not R.schedule_wait(fields, uid) then
        call('SADD', P .. 'drive', uid)
    end
    return { job = uid, name = meta['job-name'] }
end

local function place_for(source, body)
    if set(body.place) then
        return body.place
    end
    if set(source.place) then
        return source.place
    end
    local places = call('SMEMBERS', P .. 'sending')
    need(#places == 1, E.USAGE, 'source ' .. source.name .. ' has no place, and the farm has '
        .. #places .. ' places with an imager; name one with --place')
    return places[1]
end

-- An installed system has no agent of a source.
local function need_source(text)
    local target = string.match(text or '', '^target/([a-z0-9._-]+)$')
    need(not target, E.REFUSED, 'no image can be made of target/' .. (target or '')
        .. ', because an installed system runs no agent; install the agent on it as a source, '
        .. 'with the token of: ramet key token source --name ' .. (target or '')
        .. '; then: ramet image create ' .. (target or ''))
end

serve('image_create', function(meta, body)
    need_source(body.source)
    local source = need(load(P .. 'source:' .. named(body.source)), E.NOT_FOUND,
        'the source ' .. tostring(body.source) .. ' does not exist; see: ramet source list')
    if body['dry-run'] == 'yes' then
        return R.job_new(meta, 'survey', { source = body.source,
            at = 'source/' .. body.source, exclude = body.exclude or '',
            without = body.without or '', raw = body.raw or '' })
    end
    local name = named(set(body.name) and body.name
        or string.sub(body.source, 1, 40) .. '-' .. (meta.stamp or ''))
    local place = place_for(source, body)
    R.image_reserve(meta, name)
    local answer = R.job_new(meta, 'image', { source = body.source, place = place,
        ['image-name'] = name, exclude = body.exclude or '',
        without = body.without or '', raw = body.raw or '',
        paranoid = body.paranoid or '' })
    answer.name, answer['job-name'] = name, answer.name
    return answer
end)

-- {name, place, descriptor}: what a console has put into the place's store.
serve('image_import', function(meta, body)
    local name, place = named(body.name), named(body.place)
    need(string.find(body.descriptor or '', '^01%x+$') and #body.descriptor == 66,
        E.USAGE, 'the descriptor is not an id')
    R.image_reserve(meta, name)
    local answer = R.job_new(meta, 'import', { source = body.source or '', place = place,
        ['image-name'] = name, descriptor = body.descriptor })
    answer.name, answer['job-name'] = name, answer.name
    return answer
end)

-- The names of items, each of a target of the job.
local function names_need(job, items)
    local names = {}
    for _, item in ipairs(items) do
        local name = item.target or ''
        need(call('EXISTS', target_key(job.id, name)) == 1, E.NOT_FOUND, 'job ' .. job.name
            .. ' has no target ' .. name .. '; see: ramet job show ' .. job.name)
        names[name] = true
    end
    return names
end

-- {job}, items {target} or none for all. Gives the number of targets that it has ended, and
-- as many of them as an answer holds.
serve('job_cancel', function(meta, body, items)
    local job = R.job_find(body.job)
    need(R.is('job', job, 'open'), E.REFUSED,
        'job ' .. job.name .. ' has ended: ' .. job.state)
    local names, ended = names_need(job, items), {}
    audit(meta, 'job.cancel', { job = job.id })
    call('HINCRBY', job_key(job.id), 'rev', 1)
    if job.kind ~= 'deploy' then
        R.job_end(meta, job.id, 'cancel', E.CANCELLED, 'cancelled')
        return {}
    end
    R.targets_each(job.id, function(target, record)
        if (#items == 0 or names[target]) and R.is('job-target', record, 'open') then
            ended[#ended + 1] = target_cancel(meta, job, target, record)
        end
    end)
    R.settle(meta, job.id)
    local shown = fitting(ended)
    return { count = #ended, more = #ended > #shown and #ended - #shown or nil }, shown
end)

-- stuck: what the job waits for, or nil.
local function job_brief(job, stuck)
    local brief = {}
    for name, value in pairs(job) do
        if not JOB_BULKY[name] then
            brief[name] = value
        end
    end
    brief.stuck = R.is('job', job, 'open') and stuck or nil
    return brief
end

serve('job_list', function(meta, body)
    local first, items = num(meta.cursor), {}
    local uids = call('ZREVRANGE', P .. 'jobs', first, first + 99)
    for _, uid in ipairs(uids) do
        local job = load(job_key(uid))
        if job then
            items[#items + 1] = job_brief(job, R.stuck_brief(uid))
        else
            call('ZREM', P .. 'jobs', uid)
        end
    end
    return {}, items, #uids == 100 and str(first + 100) or ''
end)

-- Of a start that is awaited; of a first boot what was heard last. A machine whose installer answers
-- again has not started from its own disk.
local function with_heard(record)
    if record.phase == 'awaiting-agent' then
        record.text = 'its machine was switched on, and its agent has not come yet'
    end
    if record.phase ~= 'awaiting-first-boot' then
        return record
    end
    local agent = load(P .. 'agent:target/' .. record.name) or {}
    if R.present('target', record.name)
        and num(agent.since) > num(record['awaiting-since']) then
        record.heard = 'the target agent started again: the machine did not start '
            .. 'from its own disk'
    end
    record.heard = record.heard or 'nothing since the order to restart'
    local since = num(record['heard-at'], num(record['awaiting-since']))
    record.text = 'last heard: ' .. record.heard .. ' ('
        .. math.floor((now() - since) / 1000) .. ' s ago)'
    return record
end

serve('job_show', function(meta, body)
    local job = R.job_find(body.job)
    local with_stuck, stuck = R.stuck_rows(job.id)
    local has_relays = call('EXISTS', job_key(job.id) .. ':relays') == 1
    local function target_load(target)
        local record = load(target_key(job.id, target))
        if record and has_relays and R.is('job-target', record, 'open') then
            record['reads-from'] = R.relay_from(job.id, target)
        end
        return record and with_stuck(with_heard(record))
    end
    local items, cursor = page(job_key(job.id) .. ':targets', meta.cursor, target_load)
    local shown = job_brief(job, stuck)
    shown.log = job.log
    return shown, items, cursor
end)

-- The last lines of the log of the worker that failed, as entries: of one target of the job,
-- or of the job itself.
local function log_lines(job, target, items)
    local record = target and load(target_key(job.id, target)) or not target and job or {}
    for line in string.gmatch(record.log or '', '[^\n]+') do
        items[#items + 1] = { id = record['log-at'], what = 'task.log', target = target,
            phase = record['failed-phase'], text = line }
    end
end

-- The entries of the audit stream, then what the worker of a failure wrote before it.
serve('job_logs', function(meta, body)
    local job, items = R.job_find(body.job), {}
    local first = num(meta.cursor)
    local ids = call('LRANGE', job_key(job.id) .. ':log', first, first + 199)
    for _, id in ipairs(ids) do
        local entry = call('XRANGE', P .. 'audit', id, id)[1]
        local record = { id = id }
        for i = 1, entry and #entry[2] or 0, 2 do
            record[entry[2][i]] = entry[2][i + 1]
        end
        record.address, record.serial = nil, nil -- Not for all who may read
        if entry and (not set(body.target) or record.target == body.target) then
            items[#items + 1] = record
        end
    end
    if #ids < 200 then
        log_lines(job, set(body.target) and body.target or nil, items)
    end
    return { job = job.id }, items, #ids == 200 and str(first + 200) or ''
end)

-- ---- Verdicts

-- {job, engine}, items {target, fits, available, reason, verdicts, choice}
serve('verdict_put', function(meta, body, items)
    local job = R.job_find(body.job)
    need(R.is('job', job, 'open'), E.FENCED, 'job ' .. job.name .. ' has ended')
    named(body.engine)
    for _, item in ipairs(items) do
        named(item.target)
    end
    for _, item in ipairs(items) do
        local mark = body.engine .. '/' .. item.target
        call('DEL', job_key(job.id) .. ':v:' .. mark)
        item.engine = body.engine
        put(job_key(job.id) .. ':v:' .. mark, item)
        call('ZADD', job_key(job.id) .. ':verdicts', 0, mark)
    end
    return { count = #items }
end)

serve('job_verdicts', function(meta, body)
    local job = R.job_find(body.job)
    local items, cursor = page(job_key(job.id) .. ':verdicts', meta.cursor, function(mark)
        local verdict = load(job_key(job.id) .. ':v:' .. mark)
        if set(body.engine) and verdict and verdict.engine ~= body.engine then
            return nil
        end
        return verdict
    end)
    return {}, items, cursor
end)

-- ---- The present state of what a topic names, for those who begin to listen

-- A page goes on behind the last topic of the page before: what comes and goes meanwhile moves
-- nothing else.
local SNAPSHOT_ITEMS = 400

local function is_full(items)
    return #items >= SNAPSHOT_ITEMS or (items.bytes or 0) >= PAGE_BYTES
end

-- Nothing is added behind the end of a page.
local function snapshot_add(items, record)
    if not is_full(items) then
        local _, bytes = flat(record)
        items[#items + 1], items.bytes = record, (items.bytes or 0) + bytes
    end
end

-- The names of an index behind this one, as many as the page holds.
local function names_behind(index, name, items)
    return call('ZRANGEBYLEX', index, name and '(' .. name or '-', '+', 'LIMIT', 0,
        SNAPSHOT_ITEMS - #items)
end

-- after: what the topic that was told last has behind the job; nil for none of this job.
local function snapshot_job(uid, after, items)
    local job = load(job_key(uid))
    if not job then
        return
    end
    local with_stuck, stuck = R.stuck_rows(uid)
    if not after then
        snapshot_add(items, { topic = 'job/' .. uid .. '/state', job = uid, state = job.state,
            phase = job.phase, code = job.code, text = job.error, name = job.name,
            stuck = stuck })
    end
    local last = string.match(after or '', '^target/(.+)$')
    for _, target in ipairs(names_behind(job_key(uid) .. ':targets', last, items)) do
        local record = with_stuck(load(target_key(uid, target)) or {})
        snapshot_add(items, { topic = 'job/' .. uid .. '/target/' .. target, job = uid,
            target = target, phase = record.phase, state = record.state,
            code = record.code, text = record.error, stuck = record.stuck })
    end
end

-- from: the topic that was told last, or ''.
local function snapshot_jobs(prefix, from, items)
    local first, after = string.match(from, '^job/(%x+)/(.*)$')
    local uids = { string.match(prefix, '^job/(%x+)/') }
    if #uids == 0 and (prefix == '' or prefix == 'job/') then
        uids = call('SMEMBERS', P .. 'open')
    end
    table.sort(uids)
    for _, uid in ipairs(uids) do
        if not is_full(items) and (not first or uid >= first) then
            snapshot_job(uid, uid == first and after or nil, items)
        end
    end
end

local function snapshot_target(name, items)
    local lock = load(P .. 'lock:' .. name)
    snapshot_add(items, { topic = 'target/' .. name .. '/state', target = name,
        state = R.availability_now(lock, name), job = lock and lock.job or nil })
end

local function snapshot_targets(prefix, from, items)
    local only = string.match(prefix, '^target/([^/]+)/')
    local last = string.match(from, '^target/([^/]+)/')
    if only and not last and call('ZSCORE', P .. 'targets', only) then
        snapshot_target(only, items)
    elseif not only then
        for _, name in ipairs(names_behind(P .. 'targets', last, items)) do
            snapshot_target(name, items)
        end
    end
end

serve('events_snapshot', function(meta, body)
    local prefix, from, items = body.topic or '', meta.cursor or '', {}
    local last = last_audit()
    if not string.find(from, '^target/') then
        snapshot_jobs(prefix, from, items)
    end
    if not is_full(items) and (prefix == '' or string.sub(prefix, 1, 7) == 'target/') then
        snapshot_targets(prefix, from, items)
    end
    for _, item in ipairs(items) do
        item.cursor = last
    end
    return { cursor = last }, items, is_full(items) and items[#items].topic or ''
end)
