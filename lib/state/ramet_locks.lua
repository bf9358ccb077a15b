-- Locks: records, not leases. They end with the first boot, with a failure or a cancel
-- before ARM, by take-over, or by an administrator's break; never by time.

local function lock_key(target)
    return P .. 'lock:' .. target
end

-- A lock of an older era was read back with an old copy of Redis: another job may have
-- taken the machine since, so no order goes out under it and it does not end by itself.
local function is_of_this_era(lock)
    return lock.era == R.era()
end

-- True when the lock of a target is this job's, of this epoch and of this era.
function R.lock_stands(target, job, epoch)
    local lock = load(lock_key(target))
    return lock and lock.job == job and lock.epoch == epoch and is_of_this_era(lock)
end

-- True when the job may have begun to write the target.
function R.is_armed_by(target, job)
    local lock = load(lock_key(target))
    return R.is('lock', lock, 'armed') and lock.job == job
end

-- Why a lock does not stand.
function R.lock_fault(target)
    local lock = load(lock_key(target))
    if lock and not is_of_this_era(lock) then
        return 'the lock is of era ' .. lock.era .. ', before Redis was restored from an '
            .. 'older copy; start the agent of the target and deploy with --take-over'
    end
    return 'the target is no longer locked by this job'
end

-- event: release, confirm or break.
local function lock_end(meta, target, event, text)
    R.move(meta, 'lock', target, event, nil, { target = target,
        state = R.availability_now(nil, target), text = text })
end

-- Release a lock of this job that no writer can have seen.
function R.unlock(meta, target, job, text)
    local lock = load(lock_key(target))
    if R.is('lock', lock, 'taken') and lock.job == job and is_of_this_era(lock) then
        lock_end(meta, target, 'release', text)
    end
end

-- The GO was handed out to this life of the agent. What becomes of it there is not known.
function R.lock_go(target, nonce)
    store(lock_key(target), { ['go-nonce'] = nonce })
end

-- The write task was ended in its queue. When the life that the lock is armed for was not
-- handed the GO, also not by an earlier attempt, there is no writer that a take-over has to
-- wait for.
function R.lock_unwritten(target, job)
    local lock = load(lock_key(target))
    if R.is_armed_by(target, job) and lock['go-nonce'] ~= lock.nonce then
        store(lock_key(target), { nonce = '', go = 0 })
    end
end

-- Take-over: the owner has ended with this target, and the agent that is there now began
-- its life after GO (it started again, or has seen the end of its writer), so no writer of
-- the old job can live.
local function may_take_over(lock, target)
    if R.is_now('job-target', lock.job .. ':t:' .. target, 'open') then
        local owner = call('HGET', P .. 'job:' .. lock.job, 'name') or lock.job
        return false, 'job ' .. owner .. ' still installs it; to end that: ramet job cancel '
            .. owner .. ' ' .. target
    end
    if R.is('lock', lock, 'taken') and is_of_this_era(lock) then
        return true
    end
    local agent = load(P .. 'agent:target/' .. target) or {}
    if not R.present('target', target) then
        return false, 'its agent is absent; start the machine'
    end
    -- When a write under an older era's lock began is not known; no order is younger than
    -- the change of the era.
    local go = is_of_this_era(lock) and num(lock.go) or num(call('GET', P .. 'era-at'))
    if agent.nonce == lock.nonce or num(agent.since) <= go then
        return false, 'its disk may still be written: its agent has told neither the end '
            .. 'of the write nor a new start; try again in a minute, or restart the machine'
    end
    return true
end

-- True when another job has installed the target since it was added to this one. Every
-- lock has a higher epoch than all before it.
function R.is_installed_since(step, record)
    return num(record['confirmed-epoch']) > num(step['confirmed-was'])
end

-- Why this target cannot be locked for the job, or nil.
local function obstacle(job, target)
    local record = load(P .. 'target:' .. target)
    if not record then
        return E.NOT_FOUND, 'the target ' .. target .. ' does not exist'
    end
    local forbidden = R.forbidden_text(record)
    if forbidden then
        return E.REFUSED, forbidden
    end
    local step = set(job.retries) and load(P .. 'job:' .. job.id .. ':t:' .. target)
    if step and R.is_installed_since(step, record) then
        return E.REFUSED, 'another job has installed it since this retry was made'
    end
    local lock = load(lock_key(target))
    if lock and lock.job ~= job.id then
        local owner = call('HGET', P .. 'job:' .. lock.job, 'name') or lock.job
        local ok, why = false, 'locked by job ' .. owner
        if job['take-over'] == 'yes' then
            ok, why = may_take_over(lock, target)
        end
        if not ok then
            return E.LOCKED, why
        end
    end
    local verdict = load(P .. 'job:' .. job.id .. ':v:' .. (record.engine or '') .. '/'
        .. target)
    if not verdict then
        return E.UNAVAILABLE, 'engine ' .. (record.engine or '?') .. ' gave no verdict'
    end
    if verdict.fits ~= 'yes' then
        return E.INCOMPATIBLE, set(verdict.reason) and verdict.reason or 'the image does not fit'
    end
    if R.is('hold', record, 'held') then
        return E.REFUSED, 'held: ' .. record.held
    end
    if not R.present('target', target) and job['when-booted'] ~= 'yes' then
        return R.absent_fault(job, record)
    end
    return nil
end

local function lock_write(meta, job, target)
    local old = load(lock_key(target))
    if old and old.job == job.id then
        return
    end
    local epoch = call('INCR', P .. 'epoch')
    R.target_step(meta, job.id, target, { phase = 'locked', epoch = epoch }, 'lock')
    R.move(meta, 'lock', target, old and 'take-over' or 'take', { target = target,
        job = job.id, era = R.era(), epoch = epoch, attempt = 1, since = wall() },
        { target = target, state = R.availability({}), epoch = epoch,
            text = old and 'taken over from job ' .. old.job or '' }, R.state('lock', old))
end

-- Lock the job's targets: all, or with partial those that can be. The others fail.
function R.lock_set(meta, job)
    local free, engines, refused = {}, {}, 0
    for _, target in ipairs(call('ZRANGE', P .. 'job:' .. job.id .. ':targets', 0, -1)) do
        local id = job.id .. ':t:' .. target
        if R.is_now('job-target', id, 'to-begin') then
            local code, why = obstacle(job, target)
            if code then
                refused = refused + 1
                R.target_failed(meta, job.id, target, code, why)
            else
                free[#free + 1] = target
            end
        end
    end
    if refused > 0 and job.partial ~= 'yes' then
        for _, target in ipairs(free) do
            R.target_failed(meta, job.id, target, E.REFUSED,
                'not begun, because other targets (' .. refused .. ') cannot be installed; '
                    .. 'to begin without them, add --partial')
        end
        free = {}
    end
    for _, target in ipairs(free) do
        lock_write(meta, job, target)
        engines[call('HGET', P .. 'target:' .. target, 'engine') or ''] = true
    end
    local names = {}
    for name in pairs(engines) do
        names[#names + 1] = name
    end
    table.sort(names)
    store(P .. 'job:' .. job.id, { ['engines-locked'] = table.concat(names, ',') })
end

-- ARM: from here on only the first boot, a take-over or a break end the lock.
function R.arm(meta, job, op)
    local lock, task = load(lock_key(op.target)), R.task_load(op.task)
    if not task or not R.lock_stands(op.target, job.id, task.epoch) then
        R.target_failed(meta, job.id, op.target, E.FENCED, R.lock_fault(op.target))
        return
    end
    local forbidden = R.forbidden_text(load(P .. 'target:' .. op.target))
    if forbidden then
        R.target_failed(meta, job.id, op.target, E.REFUSED, forbidden)
        return
    end
    if not R.key_may_boot(op.key, op.target) then
        R.target_failed(meta, job.id, op.target, E.REFUSED, 'the key that the agent of '
            .. op.target .. ' made for the first boot is in use already')
        return
    end
    R.move(meta, 'lock', op.target, 'arm', { go = mark(), nonce = op.nonce,
        ['go-nonce'] = '', plan = op.plan, attempt = task.attempt })
    R.key_firstboot(meta, op.key, op.target, lock.epoch)
    R.secret_keep(op.target, task['b.told-secret'])
    R.target_step(meta, job.id, op.target, { phase = 'armed' })
end

local function lock_show(target)
    local lock = load(lock_key(target))
    if lock then
        lock.armed = R.is('lock', lock, 'armed') and 'yes' or 'no'
        lock['job-name'] = call('HGET', P .. 'job:' .. lock.job, 'name') or nil
        lock.by = call('HGET', P .. 'job:' .. lock.job, 'by') or nil
    end
    return lock
end

serve('lock_list', function(meta)
    local items, cursor = page(P .. 'locks', meta.cursor, lock_show)
    return {}, items, cursor
end)

serve('lock_show', function(meta, body)
    return need(lock_show(named(body.target)), E.NOT_FOUND,
        'target ' .. body.target .. ' is not locked; see: ramet lock list')
end)

-- {target, reason}: the machine is held, and every message of the old epoch is stale.
serve('lock_break', function(meta, body)
    local lock = need(load(lock_key(named(body.target))), E.NOT_FOUND,
        'target ' .. body.target .. ' is not locked; see: ramet lock list')
    need(set(body.reason), E.USAGE, 'a break needs a reason; give one with --reason TEXT')
    local epoch = call('INCR', P .. 'epoch')
    R.hold(meta, body.target, 'lock broken: ' .. body.reason)
    lock_end(meta, body.target, 'break', body.reason)
    call('HSET', P .. 'target:' .. body.target, 'epoch', epoch)
    R.target_failed(meta, lock.job, body.target, E.FENCED, 'lock broken: ' .. body.reason)
    R.settle(meta, lock.job)
    audit(meta, 'lock.break', { target = body.target, job = lock.job, epoch = epoch,
        text = body.reason })
    return { target = body.target, epoch = epoch }
end)

-- What is wrong with a system that is up, in one line for people; '' for nothing.
local function confirm_faults(body, items)
    local faults = {}
    if set(body['failed-units']) and body['failed-units'] ~= 'unknown' then
        faults[#faults + 1] = 'failed units: ' .. body['failed-units']
    end
    if set(body['missing-addresses']) then
        faults[#faults + 1] = 'missing addresses: ' .. body['missing-addresses']
    end
    for _, item in ipairs(items) do
        if item.exit ~= '0' then
            faults[#faults + 1] = 'script ' .. (item.script or '?') .. ' '
                .. (item['end'] or 'failed')
        end
    end
    return table.concat(faults, '; ')
end

-- Output of scripts stands in the job's log, that of failed ones in their last lines.
local function confirm_scripts(meta, job, items)
    for _, item in ipairs(items) do
        audit(meta, item.exit == '0' and 'script.done' or 'script.failed', { job = job,
            target = meta.name, script = item.script or '?', exit = item.exit or '?',
            seconds = item.seconds or '', text = (item.script or '?') .. ' '
                .. (item['end'] or '?') .. (set(item.output) and ': ' .. item.output or '') })
    end
end

-- The lock under which a first boot is awaited from this key.
local function lock_awaited(meta)
    local lock = load(lock_key(meta.name))
    local is_awaited = R.is('lock', lock, 'armed') and lock.epoch == meta.epoch
    return need(is_awaited and lock, E.FENCED, 'ramet no longer waits for this first boot')
end

-- {text} by the key of this first boot: what is heard of it before its report.
serve('target_heard', function(meta, body)
    local lock = lock_awaited(meta)
    local step = load(P .. 'job:' .. lock.job .. ':t:' .. meta.name)
    local text = string.sub(body.text or '', 1, 200)
    R.target_step(meta, lock.job, meta.name, { phase = step and step.phase, heard = text,
        ['heard-at'] = now(), text = 'heard: ' .. text }, nil, step)
    return {}
end)

-- {image, boot, failed-units, addresses, missing-addresses, degraded}, items {script,
-- exit, end, seconds, output}, by the key of this first boot.
serve('target_confirm', function(meta, body, items)
    local target = 'target:' .. meta.name
    if call('HGET', P .. target, 'confirmed-epoch') == meta.epoch then
        return {}       -- The same report again
    end
    local lock = lock_awaited(meta)
    local job = load(P .. 'job:' .. lock.job) or {}
    need(not job.image or body.image == job.image, E.REFUSED,
        'the target booted another image; its lock stays')
    local faults = confirm_faults(body, items)
    local step = load(P .. 'job:' .. lock.job .. ':t:' .. meta.name) or {}
    local warning = set(step.warning) and step.warning or ''
    if warning ~= '' and faults ~= '' then
        warning = warning .. '; '
    end
    warning = warning .. faults
    local degraded = body.degraded == 'yes' or faults ~= ''
    store(P .. target, { ['confirmed-epoch'] = meta.epoch, image = body.image or '',
        ['confirmed-at'] = wall(), addresses = body.addresses or '',
        release = R.release_of(body.image or ''),
        ['failed-units'] = body['failed-units'] or '', warning = warning })
    lock_end(meta, meta.name, 'confirm', 'first boot confirmed')
    R.start_heard(lock.job, meta.name)
    R.key_used(meta, meta.by)
    confirm_scripts(meta, lock.job, items)
    R.target_step(meta, lock.job, meta.name, {
        phase = degraded and 'confirmed (degraded)' or 'confirmed', code = '0',
        error = '', ['failed-phase'] = '', log = '', ['log-at'] = '', warning = warning,
        text = faults ~= '' and faults or 'boot ' .. (body.boot or '?') },
        R.can('job-target', step, 'confirm') and 'confirm' or nil)
    R.settle(meta, lock.job)
    return {}
end)

-- ---- Starts that are awaited for a time: of machines, and of a request for power (target '')

function R.start_awaited(job, target, seconds)
    call('ZADD', P .. 'boots', now() + seconds * 1000, job .. '/' .. target)
end

function R.start_heard(job, target)
    call('ZREM', P .. 'boots', job .. '/' .. target)
end

-- Starts without a word in time: the target failed. The lock of a first boot stays.
serve('boot_reap', function(meta)
    local late = call('ZRANGEBYSCORE', P .. 'boots', '-inf', now(), 'LIMIT', 0, 200)
    for _, mark in ipairs(late) do
        local job, target = string.match(mark, '^(%x+)/(.*)$')
        R.start_heard(job, target)
        if target == '' then
            R.power_late(meta, job)
        end
        local found = call('HMGET', P .. 'job:' .. job .. ':t:' .. target, 'phase', 'heard')
        local text = 'awaiting first boot' .. (found[2] and '; last heard: ' .. found[2] or '')
        if found[1] == 'awaiting-agent' then
            text = R.asleep_text(target)
        end
        R.target_failed(meta, job, target, E.TIMEOUT, text)
        R.settle(meta, job)
    end
    return { count = #late }
end)
