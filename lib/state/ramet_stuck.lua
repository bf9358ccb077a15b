-- What a job waits for: a task that no worker takes, or one whose machine is silent. Such a
-- task has a mark in its job until it moves again; rows of targets and the job show it.

local LOOK_MS = 2000    -- Between two looks at a task that has a mark

-- What offers a service of a place; what is not here, both do.
local PROGRAMS = { commit = 'imager', package = 'imager', match = 'installer',
    build = 'installer', order = 'installer', netboot = 'installer', wake = 'installer',
    power = 'installer' }

local function marks_key(uid)
    return P .. 'job:' .. uid .. ':stuck'
end

-- Of an audit entry about such a task: what a row of the job shows of it.
function R.stuck_note(task, text)
    local note = { job = task.job, task = task.id, service = task.service, text = text,
        stuck = text }
    local row = R.is_per_target(task.stage)
        and load(P .. 'job:' .. task.job .. ':t:' .. task.subject)
    if row then
        note.target, note.phase = task.subject, row.phase
    end
    return note
end

function R.stuck_set(task, text)
    call('HSET', marks_key(task.job), task.id, table.concat({ str(now()), task.stage,
        task.subject, text }, ' '))
end

function R.stuck_drop(task)
    call('HDEL', marks_key(task.job), task.id)
end

local function mark_read(text)
    local since, stage, subject, why = string.match(text or '', '^(%d+) (%S+) (%S+) (.*)$')
    return { since = num(since), stage = stage, subject = subject, text = why }
end

-- The marks of a job, oldest first.
local function marks(uid)
    local list = {}
    for _, text in pairs(load(marks_key(uid)) or {}) do
        list[#list + 1] = mark_read(text)
    end
    table.sort(list, function(a, b)
        return a.since < b.since or a.since == b.since and a.text < b.text
    end)
    return list
end

-- For the job itself: its time, or the oldest one, and how many more; nil for none.
local function brief_of(list, waits)
    local more = #list > 1 and ' (and ' .. #list - 1 .. ' more)' or ''
    return waits or list[1] and list[1].text .. more
end

function R.stuck_brief(uid)
    return brief_of(marks(uid), R.schedule_text(uid))
end

-- What a task of a job waits for, or nil.
function R.stuck_text(uid, id)
    return set(id) and mark_read(call('HGET', marks_key(uid), id) or nil).text or nil
end

-- A function that adds to the record of a target of the job what it waits for, and since
-- when: by a task of its own, or by one of its engine or of all. And what stuck_brief says.
function R.stuck_rows(uid)
    local own, common, list = {}, {}, marks(uid)
    local waits = R.schedule_text(uid)
    for _, mark in ipairs(list) do
        if R.is_per_target(mark.stage) then
            own[mark.subject] = mark
        else
            common[mark.stage == 'package' and 'all' or mark.subject] = mark
        end
    end
    return function(record)
        local mark = own[record.name] or common[record.engine] or common.all
        if mark and R.is('job-target', record, 'open') then
            record.stuck = mark.text
            record['stuck-s'] = math.floor((now() - mark.since) / 1000)
        elseif waits and R.is('job-target', record, 'to-begin') then
            record.stuck = waits
        end
        return record
    end, brief_of(list, waits)
end

-- nil: it is not.
local function why_stuck(task)
    local awaited = R.is_go(task.service) and R.brokers_awaited()
    if awaited then
        return 'waiting for broker ' .. awaited .. ', which has not come back since Redis '
            .. 'started; start it: systemctl start ramet-broker; without it, this lock '
            .. 'becomes void'
    end
    if R.offered(task.service) then
        return nil
    end
    local text = 'no worker offers ' .. task.service
    local class, name = string.match(task.service, '@(%a+)/(.+)$')
    local step = P .. 'job:' .. task.job .. ':t:' .. task.subject
    if class and call('HGET', step, 'phase') == 'awaiting-agent' then
        return nil -- It starts, and has its time (boot_reap)
    elseif class then
        return 'waiting for ' .. class .. ' ' .. name .. ', which is absent: ' .. text
            .. '; start the machine and its agent, and see: ramet ' .. class .. ' show ' .. name
    end
    local verb, place = string.match(task.service, '^(%a+)@(.*)$')
    local program = PROGRAMS[verb]
    return program and text .. '; start an ' .. program .. ' of ' .. place
            .. ': systemctl start ramet-' .. program
        or text .. '; start its imager or installer, and see: ramet doctor'
end

-- Of the record of a task, which may hold an order, what is said of it here.
local function task_head(id)
    local found = call('HMGET', P .. 'task:' .. id, 'id', 'job', 'stage', 'subject', 'service',
        'state', 'trouble')
    return found[1] and { id = found[1], job = found[2], stage = found[3], subject = found[4],
        service = found[5], state = found[6], trouble = found[7] or nil, worker = '' } or nil
end

-- Tasks that wait too long for a worker. Each is looked at again until it is taken.
serve('task_stuck', function(meta, body)
    local before, found = now() - num(body['stuck-s'], 12) * 1000, {}
    for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'waiting', '-inf', before, 'LIMIT', 0,
        200)) do
        local task = task_head(id)
        if not R.is('task', task, 'queued') then
            call('ZREM', P .. 'waiting', id)
        else
            call('ZADD', P .. 'waiting', before + LOOK_MS, id)
            local text = why_stuck(task)
            if not text and not set(task.trouble) then
                R.stuck_drop(task)
            elseif text then
                if not R.stuck_text(task.job, id) then
                    R.stuck_set(task, text)
                    audit(meta, 'task.stuck', R.stuck_note(task, text))
                end
                found[#found + 1] = { task = id, job = task.job, text = text }
            end
        end
    end
    return {}, found
end)
