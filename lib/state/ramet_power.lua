-- Power of machines: jobs of one task, which the installer of their engine does.

local BEGUN_S = 600     -- So long a request may wait for an installer
local NAMES_TOLD = 20   -- Targets that an answer names as switched, or not

-- true: what runs on the machine ends, so it is for machines that a job could erase now.
local ACTIONS = { status = false, on = false, off = true, cycle = true, netboot = true }

-- Why the action may not reach the target of this record now, or nil: code and text.
local function power_fault(action, name, record, force)
    if not record then
        return E.NOT_FOUND, 'the target ' .. name .. ' does not exist; see: ramet target list'
    elseif not R.is('approval', record, 'approved') then
        return E.REFUSED, 'target ' .. name
            .. ' is not approved; approve it with: ramet target approve ' .. name
    elseif not set(record.power) or record.power == 'none' then
        return E.REFUSED, 'the record of target ' .. name .. ' does not say how its power is '
            .. 'switched; say it with: ramet target set ' .. name .. ' power=WAY'
    elseif not set(record.engine) then
        return E.REFUSED, 'target ' .. name .. ' belongs to no engine; set it with: '
            .. 'ramet target set ' .. name .. ' engine=ENGINE'
    elseif not ACTIONS[action] then
        return nil
    end
    local forbidden = R.forbidden_text(record)
    local lock = not force and load(P .. 'lock:' .. name)
    if forbidden then
        return E.REFUSED, forbidden
    elseif lock then
        return E.LOCKED, 'target ' .. name .. ' is locked by job ' .. lock.job
            .. ', which may write its disk; wait for its end, cancel it, or add --force'
    end
end

-- Those that the action may reach, by name, and their engine; and those left out, with why.
local function power_sort(body, items)
    local names, seen, left, engine = {}, {}, {}, nil
    for _, item in ipairs(items) do
        local name = named(item.target)
        local record = load(P .. 'target:' .. name)
        local code, text = power_fault(body.action, name, record, body.force == 'yes')
        if not seen[name] and code then
            left[#left + 1] = { target = name, code = code, text = text }
        elseif not seen[name] then
            need(not engine or engine == record.engine, E.USAGE, 'the targets belong to the '
                .. 'engines ' .. tostring(engine) .. ' and ' .. record.engine
                .. '; make a request for each engine')
            engine = record.engine
            names[#names + 1] = name
        end
        seen[name] = true
    end
    return names, left, engine
end

-- {action, count?, force?}, items {target} of one engine. Gives a job over those that it may
-- reach, and as items those that it leaves out; no job is made when that is all of them.
serve('target_power', function(meta, body, items)
    need(ACTIONS[body.action] ~= nil, E.USAGE, 'the action is on, off, cycle, netboot or status')
    need(#items > 0 and #items <= L.POWER_MAX, E.USAGE, 'a request is about 1 to '
        .. L.POWER_MAX .. ' targets; make several')
    local names, left, engine = power_sort(body, items)
    need(#names > 0, left[1] and left[1].code, left[1] and left[1].text)
    local count = #names + #left
    need(not ACTIONS[body.action] or body.count == str(count), E.USAGE, body.action
        .. ' cuts the power of ' .. count .. ' machine(s), so it needs their number: --count '
        .. count)
    need(R.offered('power@' .. engine), E.UNAVAILABLE, 'no installer of engine ' .. engine
        .. ' is there; see: ramet doctor')
    local answer = R.job_new(meta, 'power', { at = engine, action = body.action,
        force = body.force == 'yes' and 'yes' or nil, machines = table.concat(names, ' ') })
    R.start_awaited(meta.job, '', BEGUN_S)
    for _, name in ipairs(names) do
        audit(meta, 'target.power', { job = meta.job, target = name, text = body.action })
    end
    return answer, fitting(left)
end)

-- A request that no installer has taken in time: what a person wanted then is not done now.
function R.power_late(meta, uid)
    R.job_end(meta, uid, 'fail', E.TIMEOUT, 'no installer of engine '
        .. (call('HGET', P .. 'job:' .. uid, 'at') or '?') .. ' began it within '
        .. BEGUN_S / 60 .. ' min, so no machine was switched; see: ramet doctor; then give the '
        .. 'command again')
end

-- ---- Machines that a deployment brings to its agent (job field wake=yes)

local function is_switched(record)
    return set(record.power) and record.power ~= 'none'
end

-- Is the agent of a target that the job may switch absent: is its machine off, or does it run
-- its system?
function R.is_asleep(job, target)
    local record = { power = call('HGET', P .. 'target:' .. target, 'power') or nil }
    return job.wake == 'yes' and is_switched(record) and not R.present('target', target)
end

-- Why an absent target of the job cannot be installed, or nil: it is brought to its agent.
function R.absent_fault(job, record)
    if job.wake == 'yes' and not is_switched(record) then
        return E.UNAVAILABLE, 'its agent is absent, and its record does not say how its power '
            .. 'is switched; start the machine, or: ramet target set ' .. record.name
            .. ' power=WAY'
    elseif job.wake ~= 'yes' then
        return E.UNAVAILABLE, 'its agent is absent; start the machine'
    end
end

-- What the installer needs to know now beside the record: that the machine may not be
-- switched, or need not be.
function R.wake_view(view, record)
    view['r.protected'] = R.forbidden(record) or ''
    view['b.present'] = R.present('target', record.name) and 'yes' or 'no'
end

-- Its machine was switched on, and its agent has not come in time.
function R.asleep_text(target)
    return 'its machine was switched on, and its agent did not come; look at its console, and '
        .. 'whether it starts from the network: ramet target power ' .. target .. ' status'
end

-- For the question that a user answers: the absent targets whose machines the job switches,
-- and those that it cannot.
function R.power_tell(told, targets)
    local on, off = {}, {}
    for _, name in ipairs(targets) do
        if not R.present('target', name) then
            local list = is_switched(load(P .. 'target:' .. name) or {}) and on or off
            list[#list + 1] = name
        end
    end
    told['switched-count'] = #on
    told.switched = #on > 0 and some(on, NAMES_TOLD) or nil
    told['not-switched'] = #off > 0 and some(off, NAMES_TOLD) or nil
    return told
end
