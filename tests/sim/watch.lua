-- Joined to the function library in the simulation: what must hold of the state, looked at
-- from outside. It keeps what it saw last in locals, so that a Redis that is restored
-- from an older copy does not take it away.

local locks, armed, epochs = {}, {}, {}
local TARGETS = { 't1', 't2', 't3' }

local function fault_of(target, before, after, body)
    local word = 'lock of ' .. target .. ', ' .. body.fn .. ': '
    if not before then
        return after and after.armed and word .. 'armed without a lock'
    elseif not after then
        local is_confirm = body.fn == 'target_confirm' and body.epoch == before.epoch
        local is_break = body.fn == 'lock_break' and body.target == target
        local step = load(P .. 'job:' .. before.job .. ':t:' .. target)
        local is_release = not before.armed and before.era == R.era()
            and R.is('job-target', step, 'ended')
        return not is_confirm and not is_break and not is_release and word .. 'it opened'
    elseif after.epoch ~= before.epoch then
        local agent = load(P .. 'agent:target/' .. target) or {}
        return R.is_now('job-target', before.job .. ':t:' .. target, 'open')
            and word .. 'taken from a job that installs it'
            or before.armed and before.era == R.era() and agent.nonce == before.nonce
            and word .. 'taken from a start of the machine that may still write'
    end
    return before.armed and not after.armed and word .. 'no longer armed'
        or before.job ~= after.job and word .. 'another job with the same epoch'
end

-- {fn, epoch, target}: the call that was carried out, and what it was about.
serve('watch', function(_, body)
    local fault
    for _, target in ipairs(TARGETS) do
        local now_locked = load(P .. 'lock:' .. target)
        fault = fault or fault_of(target, locks[target], now_locked, body)
        locks[target] = now_locked
        if now_locked then
            local epoch = num(now_locked.epoch)
            if now_locked.armed then
                armed[target .. '/' .. now_locked.era .. '/' .. now_locked.epoch] = true
            end
            if now_locked.era == R.era() and epoch < (epochs[now_locked.era .. target] or 0) then
                fault = fault or 'the epoch of ' .. target .. ' went back'
            end
            epochs[now_locked.era .. target] = epoch
        end
    end
    return { fault = fault or '' }
end)

-- A new world, or one with an older Redis: what it has now is what was seen.
serve('watch_begin', function(_, body)
    if body.all then
        armed, epochs = {}, {}
    end
    for _, target in ipairs(TARGETS) do
        locks[target] = load(P .. 'lock:' .. target)
    end
    return {}
end)

serve('watch_armed', function(_, body)
    return { armed = armed[body.target .. '/' .. body.era .. '/' .. body.epoch]
        and 'yes' or 'no' }
end)

local function counts_of(job, targets)
    local sums, total = {}, 0
    for _, state in ipairs(targets) do
        sums[state] = (sums[state] or 0) + 1
    end
    for _, state in ipairs({ 'waiting', 'locked', 'running', 'done', 'failed', 'cancelled' }) do
        local counted = num(job['t-' .. state])
        total = total + counted
        if counted ~= (sums[state] or 0) then
            return 'job ' .. job.id .. ' counts ' .. counted .. ' targets ' .. state
                .. ', and has ' .. (sums[state] or 0)
        end
    end
    return total ~= num(job.targets) and 'job ' .. job.id .. ' has lost targets' or nil
end

local function fault_of_job(id)
    local job = load(P .. 'job:' .. id)
    local targets = {}
    for i, target in ipairs(call('ZRANGE', P .. 'job:' .. id .. ':targets', 0, -1)) do
        targets[i] = (load(P .. 'job:' .. id .. ':t:' .. target) or {}).state
    end
    if #targets > 0 and counts_of(job, targets) then
        return counts_of(job, targets)
    end
    if num(job['engine-count']) > 2 or num(job.fits) > 3 or num(job.waiting) < 0 then
        return 'a matching of job ' .. id .. ' counts twice: ' .. num(job['engine-count'])
            .. ' engines, ' .. num(job.fits) .. ' targets fit, ' .. num(job.waiting) .. ' wait'
    end
end

-- A result is recorded once for an attempt.
local function fault_of_results()
    local seen = {}
    for _, entry in ipairs(call('XRANGE', P .. 'audit', '-', '+')) do
        local record = {}
        for i = 1, #entry[2], 2 do
            record[entry[2][i]] = entry[2][i + 1]
        end
        if record.what == 'task.result' then
            local word = record.task .. ' ' .. record.attempt
            if seen[word] then
                return 'a result is recorded twice: ' .. word
            end
            seen[word] = true
        end
    end
end

-- What an open job waits for, in words.
local function waits_for(id, job)
    local parts = { job.stuck }
    for _, target in ipairs(call('ZRANGE', P .. 'job:' .. id .. ':targets', 0, -1)) do
        local step = load(P .. 'job:' .. id .. ':t:' .. target) or {}
        if R.is('job-target', step, 'open') then
            parts[#parts + 1] = target .. ' ' .. step.state .. ' ' .. step.phase
        end
    end
    for _, task_id in ipairs(call('SMEMBERS', P .. 'job:' .. id .. ':tasks')) do
        local task = R.task_load(task_id) or {}
        if R.is('task', task, 'open') then
            parts[#parts + 1] = task.service .. ' ' .. task.state
        end
    end
    return table.concat(parts, ', ')
end

-- {orders}: how many jobs were ordered. body: fault; items: jobs that have not ended.
serve('watch_end', function(_, body)
    local items = {}
    local ids = call('ZRANGE', P .. 'jobs', 0, -1)
    local fault = #ids > num(body.orders) and #ids .. ' jobs came of ' .. body.orders .. ' orders'
        or fault_of_results()
    for _, id in ipairs(ids) do
        fault = fault or fault_of_job(id)
    end
    for _, id in ipairs(call('SMEMBERS', P .. 'open')) do
        local job = load(P .. 'job:' .. id) or {}
        items[#items + 1] = { job = id, kind = job.kind, state = job.state, stage = job.stage,
            stuck = waits_for(id, job) }
    end
    return { fault = fault or '' }, items
end)

-- items {name, role}: present: yes or no.
serve('watch_present', function(_, _, items)
    local out = {}
    for i, item in ipairs(items) do
        out[i] = { name = item.name, present = R.present(item.role, item.name) and 'yes' or 'no' }
    end
    return {}, out
end)
