-- Joined to the function library in the simulation: what must hold of the state, looked at
-- from outside. It reads records by their keys and knows the words of docs/spec/6-states.md;
-- the library's own tables, indexes and counters are what it checks, so it asks none of
-- them. What it saw last it keeps in locals, so that a Redis that is restored from an older
-- copy does not take it away.

local JOB_OPEN = { queued = true, running = true }
local STEP_OPEN = { waiting = true, locked = true, running = true }
local TASK_OPEN = { queued = true, leased = true, silent = true }
local TASK_IN_HAND = { leased = true, silent = true }
local TARGETS = { 't1', 't2', 't3' }
local PRESENT_MS, KEPT_MS = 15000, 3000 -- docs/spec/2-broker.md; how old the kept clock may be

local locks, armed, epochs, era_top = {}, {}, {}, 0

local function era()
    return num(call('GET', P .. 'era'))
end

-- The records whose keys are this word and then the pattern: {the pattern's part, record}.
local function records(word, pattern)
    local out = {}
    pattern = '^' .. P .. word .. pattern .. '$'
    for _, key in ipairs(host.keys(P .. word)) do
        local id = string.match(key, pattern)
        if id then
            out[#out + 1] = { id, load(key) }
        end
    end
    return out
end

-- ---- Locks

local function fault_of_end(target, before, body)
    local step = load(P .. 'job:' .. before.job .. ':t:' .. target)
    local is_confirm = body.fn == 'target_confirm' and body.epoch == before.epoch
    local is_break = body.fn == 'lock_break' and body.target == target
    local is_release = not before.armed and num(before.era) == era()
        and step and not STEP_OPEN[step.state]
    return not is_confirm and not is_break and not is_release and 'it opened'
end

local function fault_of_take_over(target, before)
    local step = load(P .. 'job:' .. before.job .. ':t:' .. target) or {}
    local agent = load(P .. 'agent:target/' .. target) or {}
    return STEP_OPEN[step.state] and 'taken from a job that installs it'
        or before.armed and num(before.era) == era() and agent.nonce == before.nonce
        and 'taken from a start of the machine that may still write'
end

local function fault_of_lock(target, before, after, body)
    if not before then
        return after and after.armed and 'armed without a lock'
    elseif not after then
        return fault_of_end(target, before, body)
    elseif after.armed and not before.armed and num(after.era) ~= era() then
        return 'armed in era ' .. era() .. ', and taken in era ' .. after.era
    elseif after.epoch ~= before.epoch then
        return fault_of_take_over(target, before)
    end
    return before.armed and not after.armed and 'no longer armed'
        or before.job ~= after.job and 'another job with the same epoch'
end

local function look_at_lock(target, body)
    local now_locked = load(P .. 'lock:' .. target)
    local fault = fault_of_lock(target, locks[target], now_locked, body)
    locks[target] = now_locked
    if now_locked then
        local epoch, place = num(now_locked.epoch), now_locked.era .. ' ' .. target
        if now_locked.armed then
            armed[place .. ' ' .. now_locked.epoch] = true
        end
        if num(now_locked.era) == era() and epoch < (epochs[place] or 0) then
            fault = fault or 'its epoch went back'
        end
        epochs[place] = epoch
    end
    return fault and 'lock of ' .. target .. ', ' .. body.fn .. ': ' .. fault
end

-- {fn, epoch, target}: the call that was carried out, and what it was about. era: of now.
serve('watch', function(_, body)
    local fault
    for _, target in ipairs(TARGETS) do
        fault = look_at_lock(target, body) or fault
    end
    if era() < era_top then
        fault = fault or 'the era went back from ' .. era_top .. ' to ' .. era()
    end
    era_top = math.max(era_top, era())
    return { fault = fault or '', era = era() }
end)

-- An older Redis has come back: what it has now is what was seen, and it gives epochs again
-- until a broker that misses its entries raises the era. last: its last entry of the audit
-- stream; era: the highest that was seen so far.
serve('watch_restored', function()
    epochs = {}
    for _, target in ipairs(TARGETS) do
        locks[target] = load(P .. 'lock:' .. target)
    end
    local last, top = call('XREVRANGE', P .. 'audit', '+', '-', 'COUNT', 1), era_top
    era_top = era()
    return { last = last[1] and last[1][1] or '0-0', era = top }
end)

-- What goes on: is a lock armed; does an agent prepare a GO?
serve('watch_stage', function()
    local armed_now, preparing = false, false
    for _, target in ipairs(TARGETS) do
        armed_now = armed_now or call('HEXISTS', P .. 'lock:' .. target, 'armed') == 1
    end
    for _, key in ipairs(host.keys(P .. 'task:')) do
        preparing = preparing or call('HGET', key, 'stage') == 'prepare'
            and TASK_IN_HAND[call('HGET', key, 'state')]
    end
    return { armed = armed_now and 'yes' or 'no', preparing = preparing and 'yes' or 'no' }
end)

serve('watch_armed', function(_, body)
    return { armed = armed[body.era .. ' ' .. body.target .. ' ' .. body.epoch]
        and 'yes' or 'no' }
end)

-- ---- Attempts

local tried -- The task that the call which comes next speaks of

local function print_of(record)
    local parts = {}
    for name, value in pairs(record or {}) do
        parts[#parts + 1] = name .. '=' .. value
    end
    table.sort(parts)
    return table.concat(parts, ' ')
end

-- {task, attempt, worker}: is it this attempt that the worker has in hand?
serve('watch_attempt', function(_, body)
    local task = load(P .. 'task:' .. body.task) or {}
    tried = { id = body.task, print = print_of(task),
        is_held = task.attempt == body.attempt and task.worker == body.worker
            and TASK_IN_HAND[task.state] }
    return {}
end)

-- {fn}: the call was carried out.
serve('watch_tried', function(_, body)
    local is_same = tried.is_held or print_of(load(P .. 'task:' .. tried.id)) == tried.print
    return { fault = is_same and ''
        or body.fn .. ' changed task ' .. tried.id .. ' by an attempt that no worker has' }
end)

-- ---- The end

local function counts_of(id, job, steps)
    local sums, total = {}, 0
    for _, step in ipairs(steps) do
        local state = step[2].state
        sums[state] = (sums[state] or 0) + 1
    end
    for _, state in ipairs({ 'waiting', 'locked', 'running', 'done', 'failed', 'cancelled' }) do
        local counted = num(job['t-' .. state])
        total = total + counted
        if counted ~= (sums[state] or 0) then
            return 'job ' .. id .. ' counts ' .. counted .. ' targets ' .. state
                .. ', and has ' .. (sums[state] or 0)
        end
    end
    return total ~= num(job.targets) and 'job ' .. id .. ' has lost targets' or nil
end

-- A capture that lost its imager is tried again, so no image job ends with those words.
local function fault_of_image(id, job)
    if job.kind == 'image' and job.state == 'failed'
        and string.find(job.error or '', 'the connection was lost', 1, true) then
        return 'image job ' .. id .. ' failed: ' .. job.error
    end
end

local function fault_of_job(id, job)
    local steps = records('job:' .. id .. ':t:', '(%w+)')
    local is_listed = call('SISMEMBER', P .. 'open', id) == 1
    local is_open = JOB_OPEN[job.state] or false
    for _, step in ipairs(steps) do
        if not is_open and STEP_OPEN[step[2].state] then
            return 'job ' .. id .. ' has ended, and its target ' .. step[1] .. ' is '
                .. step[2].state
        end
        if step[2].state == 'failed' and not set(step[2].error) then
            return 'target ' .. step[1] .. ' of job ' .. id .. ' failed without a reason'
        end
    end
    if is_listed ~= is_open then
        return 'job ' .. id .. ' is ' .. job.state .. ', and the list of open jobs '
            .. (is_listed and 'has it' or 'does not have it')
    end
    local fault = fault_of_image(id, job)
    if fault then
        return fault
    end
    if num(job['engine-count']) > 2 or num(job.fits) > 3 or num(job.waiting) < 0 then
        return 'a matching of job ' .. id .. ' counts twice: ' .. num(job['engine-count'])
            .. ' engines, ' .. num(job.fits) .. ' targets fit, ' .. num(job.waiting) .. ' wait'
    end
    return counts_of(id, job, steps)
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
local function waits_for(id, job, tasks)
    local parts = { job.stuck }
    for _, step in ipairs(records('job:' .. id .. ':t:', '(%w+)')) do
        if STEP_OPEN[step[2].state] then
            parts[#parts + 1] = step[1] .. ' ' .. step[2].state .. ' ' .. (step[2].phase or '')
        end
    end
    for _, task in ipairs(tasks) do
        if task[2].job == id and TASK_OPEN[task[2].state] then
            parts[#parts + 1] = task[2].service .. ' ' .. task[2].state
        end
    end
    return table.concat(parts, ', ')
end

-- Is a job open? Asked often, so the library's own list is good enough.
serve('watch_quiet', function()
    return { quiet = call('SCARD', P .. 'open') == 0 and 'yes' or 'no' }
end)

-- items {service, worker}: tasks in the hands of a worker that is not heard.
serve('watch_silent', function()
    local items = {}
    for _, task in ipairs(records('task:', '(.+)')) do
        if task[2].state == 'silent' then
            items[#items + 1] = { service = task[2].service, worker = task[2].worker }
        end
    end
    return {}, items
end)

-- body: fault, jobs: how many there are; items: jobs that have not ended.
serve('watch_end', function()
    local items, jobs, tasks = {}, records('job:', '(%x+)'), records('task:', '(.+)')
    local fault = fault_of_results()
    for _, entry in ipairs(jobs) do
        local id, job = entry[1], entry[2]
        fault = fault or fault_of_job(id, job)
        if JOB_OPEN[job.state] then
            items[#items + 1] = { job = id, kind = job.kind, state = job.state,
                stage = job.stage, stuck = waits_for(id, job, tasks) }
        end
    end
    for _, task in ipairs(tasks) do
        local job = load(P .. 'job:' .. task[2].job) or {}
        if not JOB_OPEN[job.state] and TASK_OPEN[task[2].state] then
            fault = fault or 'task ' .. task[1] .. ' is ' .. task[2].state
                .. ', and its job has ended'
        end
    end
    return { fault = fault or '', jobs = #jobs }, items
end)

-- items {target, epoch}: the installs that a job counts as done.
serve('watch_done', function()
    local items = {}
    for _, entry in ipairs(records('job:', '(%x+)')) do
        for _, step in ipairs(records('job:' .. entry[1] .. ':t:', '(%w+)')) do
            if step[2].state == 'done' then
                items[#items + 1] = { target = step[1], epoch = step[2].epoch or '',
                    job = entry[1] }
            end
        end
    end
    return {}, items
end)

-- items {name, role}: present: yes or no, by when it was last heard of.
serve('watch_present', function(_, _, items)
    local out = {}
    local since = num(call('GET', P .. 'clock')) - PRESENT_MS
    for i, item in ipairs(items) do
        local heard_at = num(call('ZSCORE', P .. 'presence', item.role .. '/' .. item.name))
        out[i] = { name = item.name, present = heard_at > since and 'yes' or 'no',
            absent = heard_at < since - KEPT_MS and 'yes' or 'no' }
    end
    return {}, out
end)
