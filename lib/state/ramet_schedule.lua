-- Jobs that begin later: after a time, or in a daily window (docs/spec/4-control.md, "Later").
--
-- How long a job waits is counted by the farm's clock. A window is a time of day, so it is
-- compared with that of Redis, in UTC; a clock that jumps moves the window with it.

local DAY_S = 24 * 3600
local AHEAD_MAX_S = 30 * DAY_S
local LOOK_MS = 60 * 1000   -- Between two looks at a window that is shut

-- Days since 1970 as year, month and day.
local function date_of(days)
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524)
        - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local month = mp < 10 and mp + 3 or mp - 9
    local day = doy - math.floor((153 * mp + 2) / 5) + 1
    return yoe + era * 400 + (month <= 2 and 1 or 0), month, day
end

-- "2026-12-01 22:00:00Z"
local function time_text(ms)
    local seconds = math.floor(ms / 1000)
    local year, month, day = date_of(math.floor(seconds / DAY_S))
    local left = seconds % DAY_S
    return string.format('%04d-%02d-%02d %02d:%02d:%02dZ', year, month, day,
        math.floor(left / 3600), math.floor(left / 60) % 60, left % 60)
end

-- At a time of day: seconds until the job's window opens, 0 when it is open or there is none,
-- and seconds until it ends.
local function window_at(job, ms)
    local length = num(job['window-s'])
    if length == 0 then
        return 0, 0
    end
    local into = (math.floor(ms / 1000) - num(job['window-from-s'])) % DAY_S
    if into < length then
        return 0, length - into
    end
    return DAY_S - into, DAY_S - into + length
end

-- Of a request {after-s, window, window-from-s, window-s}: when the job may begin, as fields
-- of the job. begins: the time of day, for people; due: by the farm's clock.
function R.schedule_take(fields, body)
    for _, name in ipairs({ 'after-s', 'window-from-s', 'window-s' }) do
        need(not set(body[name]) or string.find(body[name], '^%d+$'), E.USAGE,
            'the value of ' .. name .. ' must be a number of seconds')
    end
    local after = num(body['after-s'])
    need(after <= AHEAD_MAX_S, E.USAGE, 'a job begins within 30 days; give a sooner --at')
    if set(body.window) then
        local from, length = num(body['window-from-s']), num(body['window-s'])
        need(#body.window <= 40 and from < DAY_S and length > 0 and length < DAY_S, E.USAGE,
            'a window has two times of day, which differ; give one such as '
                .. '--window 22:00-04:00')
        fields.window, fields['window-from-s'], fields['window-s'] = body.window, from, length
    end
    local begins = wall() + after * 1000
    local wait = window_at(fields, begins)
    if after > 0 or wait > 0 then
        fields.begins = begins + wait * 1000
        fields.due = now() + (after + wait) * 1000
    end
    return fields
end

-- Until when, in seconds since 1970, warrants of the job must be good: until it begins, or
-- until the first window ends in which it does.
local function needed_until(fields)
    local begins = num(fields.begins, wall())
    local _, left = window_at(fields, begins)
    return math.floor(begins / 1000) + left
end

-- Refuse warrants that end before the job may begin; the agents would refuse them.
function R.schedule_need(fields, warrants, targets)
    if not set(fields.begins) and not set(fields.window) then
        return
    end
    local until_s = needed_until(fields)
    for _, target in ipairs(targets) do
        local text = call('HGET', warrants, target) or ''
        local ends = num(string.match(text, ' not%-after=(%d+)'), until_s)
        need(ends >= until_s, E.NOT_ALLOWED, 'the warrant of target ' .. target .. ' ends at '
            .. time_text(ends * 1000) .. ', and the job may begin targets until '
            .. time_text(until_s * 1000) .. '; sign for longer with --valid')
    end
end

-- Let a new job wait. True when it does.
function R.schedule_wait(job, uid)
    if set(job.due) then
        call('ZADD', P .. 'later', job.due, uid)
    end
    return set(job.due)
end

function R.schedule_drop(uid)
    call('ZREM', P .. 'later', uid)
end

-- May targets of the job begin now?
function R.is_shut(job)
    return window_at(job, wall()) > 0
end

-- What the job waits for, or nil.
function R.schedule_text(uid)
    local key = P .. 'job:' .. uid
    local found = call('HMGET', key, 'stage', 'begins', 'window', 'window-from-s', 'window-s')
    if found[1] == 'wait' then
        return 'begins at ' .. time_text(num(found[2]))
            .. (found[3] and ', in its window ' .. found[3] or '')
    elseif not found[3] or not call('ZSCORE', P .. 'later', uid) then
        return nil
    end
    local opens = window_at({ ['window-from-s'] = found[4], ['window-s'] = found[5] }, wall())
    return 'its window ' .. found[3] .. ' is over: ' .. call('ZCARD', key .. ':ready')
        .. ' targets begin at ' .. time_text(wall() + opens * 1000)
end

-- A step has ended: targets that may begin wait for the window when it is shut.
function R.schedule_look(meta, uid)
    local found = call('HMGET', P .. 'job:' .. uid, 'stage', 'window-from-s', 'window-s')
    local wait = found[3] and window_at({ ['window-from-s'] = found[2],
        ['window-s'] = found[3] }, wall()) or 0
    if wait > 0 and found[1] == 'install' and call('ZCARD', P .. 'job:' .. uid .. ':ready') > 0
        and not call('ZSCORE', P .. 'later', uid) then
        call('ZADD', P .. 'later', now() + math.min(wait * 1000, LOOK_MS), uid)
        local text = R.schedule_text(uid)
        audit(meta, 'job.waits', { job = uid, state = call('HGET', P .. 'job:' .. uid, 'state'),
            text = text, stuck = text })
    end
end

-- Jobs whose time has come go on; those whose window is shut are looked at again.
serve('job_due', function(meta)
    local due = call('ZRANGEBYSCORE', P .. 'later', '-inf', now(), 'LIMIT', 0, 200)
    for _, uid in ipairs(due) do
        local job = load(P .. 'job:' .. uid) or {}
        local wait = window_at(job, wall())
        if not R.is('job', job, 'open') then
            R.schedule_drop(uid)
        elseif wait > 0 then
            call('ZADD', P .. 'later', now() + math.min(wait * 1000, LOOK_MS), uid)
        else
            R.schedule_drop(uid)
            if job.stage == 'wait' then
                store(P .. 'job:' .. uid, { stage = 'start', began = now(), begun = wall() })
            end
            call('HINCRBY', P .. 'job:' .. uid, 'rev', 1)
            call('SADD', P .. 'drive', uid)
        end
    end
    return { count = #due }
end)
