-- Deployments: plans, installations of named targets, and retries of jobs.

local LEFT_OUT_MAX = 20     -- Targets that the answer of a retry names as left out

local OPTIONS = { 'policy', 'partial', 'when-booted', 'wake', 'take-over', 'accept-incomplete',
    'canary', 'max-failures', 'boot-timeout-s', 'explain' }

-- The engines' own policies as they are now, a line for each that has one: what a job
-- was asked for does not change under it.
local function policies_of(engines)
    local lines = {}
    for _, engine in ipairs(engines) do
        local policy = call('HGET', P .. 'engine:' .. engine, 'policy')
        if set(policy) then
            lines[#lines + 1] = engine .. ' ' .. policy
        end
    end
    return #lines > 0 and table.concat(lines, '\n') or nil
end

local function deploy_fields(body, image, engines)
    local fields = { image = image.id, ['image-name'] = image.name, place = image.place,
        engines = table.concat(engines, ','), policies = policies_of(engines) }
    for _, name in ipairs(OPTIONS) do
        if set(body[name]) then
            fields[name] = body[name]
        end
    end
    for _, name in ipairs({ 'canary', 'max-failures', 'boot-timeout-s' }) do
        need(not fields[name] or string.find(fields[name], '^%d+$'), E.USAGE,
            'the value of ' .. name .. ' must be a number')
    end
    return fields
end

local function engines_of(body)
    local engines = words(body.engines)
    for _, engine in ipairs(engines) do
        need(call('EXISTS', P .. 'engine:' .. named(engine)) == 1, E.NOT_FOUND,
            'the engine ' .. engine .. ' does not exist; see: ramet engine list')
    end
    return engines
end

local function need_complete(image, body)
    local is_accepted = body['accept-incomplete'] == 'yes'
    need(is_accepted or not R.image_is_incomplete(image), E.REFUSED, 'image ' .. image.name
        .. ' is INCOMPLETE: contents of some files are missing; '
        .. 'to use it, add --accept-incomplete')
end

-- With a target, its engine alone is asked, about it alone.
serve('deploy_plan', function(meta, body)
    local image, engines = R.image_find(body.image), engines_of(body)
    need_complete(image, body)
    if set(body.target) then
        local record = need(load(P .. 'target:' .. named(body.target)), E.NOT_FOUND,
            'the target ' .. body.target .. ' does not exist; see: ramet target list')
        need(set(record.engine), E.REFUSED, 'target ' .. body.target
            .. ' belongs to no engine; set it with: ramet target set NAME engine=ENGINE')
        engines = { record.engine }
    end
    need(#engines > 0, E.USAGE, 'the request names no engine; see: ramet engine list')
    local fields = deploy_fields(body, image, engines)
    fields['only-target'] = set(body.target) and body.target or nil
    return R.job_new(meta, 'plan', fields)
end)

-- Why no job can be made over a target of this name, or nil: code and text. allowed: the
-- engines that it may belong to; nil for any.
local function target_fault(name, record, allowed)
    if not record then
        return E.NOT_FOUND, 'the target ' .. name .. ' does not exist; see: ramet target list'
    elseif not R.is('approval', record, 'approved') then
        return E.REFUSED, 'target ' .. name
            .. ' is not approved; approve it with: ramet target approve ' .. name
    elseif not set(record.engine) then
        return E.REFUSED, 'target ' .. name .. ' belongs to no engine; set it with: '
            .. 'ramet target set ' .. name .. ' engine=ENGINE'
    elseif allowed and not allowed[record.engine] then
        return E.REFUSED, 'target ' .. name .. ' belongs to engine ' .. record.engine
    end
end

-- The named targets, once each; all must exist and belong to the named engines. Without
-- named engines those of the targets are taken. A protected one stops a request that is
-- not partial.
local function deploy_targets(items, engines, is_partial)
    local targets, seen, allowed = {}, {}, {}
    for _, engine in ipairs(engines) do
        allowed[engine] = true
    end
    local given = #engines > 0
    for _, item in ipairs(items) do
        local name = named(item.target)
        local record = load(P .. 'target:' .. name)
        local code, fault = target_fault(name, record, given and allowed or nil)
        need(not code, code, fault)
        local engine, forbidden = record.engine, not is_partial and R.forbidden_text(record)
        need(not forbidden, E.REFUSED, forbidden)
        if not allowed[engine] then
            allowed[engine] = true
            engines[#engines + 1] = engine
        end
        if not seen[name] then
            seen[name] = true
            targets[#targets + 1] = name
        end
    end
    need(#targets > 0, E.USAGE, 'the request names no target; see: ramet target list')
    return targets
end

-- warrants: their key, or nil. retries: the uid of the job over whose failed targets the
-- new one is, or nil.
local function deploy_new(meta, body, items, warrants, retries)
    local image, engines = R.image_find(body.image), engines_of(body)
    need_complete(image, body)
    local targets = deploy_targets(items, engines, body.partial == 'yes')
    local fields = R.schedule_take(deploy_fields(body, image, engines), body)
    fields.retries = retries
    if body['dry-run'] == 'yes' then
        return R.radius_tell(fields, targets)
    end
    R.radius_need(body, targets)
    if set(warrants) then
        R.schedule_need(fields, warrants, targets)
        R.warrants_take(meta.job, warrants, targets)
    end
    return R.job_new(meta, 'deploy', fields, targets)
end

serve('deploy_start', function(meta, body, items)
    return deploy_new(meta, body, items, set(body.warrants) and R.warrants_need(body.warrants))
end)

-- Why a retry leaves a failed target of the old job alone, or nil: no job may erase it now,
-- or another job has locked or installed it. The old job's own lock may be taken over, and
-- one that it was to take over itself.
local function why_left_out(old, target, step, allowed)
    local record, lock = load(P .. 'target:' .. target), load(P .. 'lock:' .. target)
    local code, why = target_fault(target, record, allowed)
    why = code and why or R.forbidden_text(record)
    if why then
        return why
    elseif R.is_installed_since(step, record) then
        return 'installed since by another job'
    end
    local since = num(step.epoch, num(old['epoch-at']))
    local is_its = lock and (lock.job == old.id
        or old['take-over'] == 'yes' and num(lock.epoch) <= since)
    return lock and not is_its and 'locked by job '
        .. (call('HGET', P .. 'job:' .. lock.job, 'name') or lock.job) or nil
end

-- The failed targets of a job, and those that are left out, in words.
local function retry_targets(old, engines)
    local items, out, allowed = {}, {}, {}
    for _, engine in ipairs(engines) do
        allowed[engine] = true
    end
    R.targets_each(old.id, function(target, step)
        if not R.is('job-target', step, 'failed') then
            return
        end
        local why = why_left_out(old, target, step, allowed)
        if why then
            out[#out + 1] = target .. ' (' .. why .. ')'
        else
            items[#items + 1] = { target = target }
        end
    end)
    return items, some(out, LEFT_OUT_MAX)
end

-- The engines of a job that still exist.
local function engines_left(old)
    local left = {}
    for _, engine in ipairs(words(old.engines)) do
        if call('EXISTS', P .. 'engine:' .. engine) == 1 then
            left[#left + 1] = engine
        end
    end
    return left
end

-- The same again over the failed targets of a deployment that may be erased.
local function deploy_again(meta, old, warrants)
    local engines = engines_left(old)
    local items, left_out = retry_targets(old, engines)
    need(#items > 0, E.REFUSED, 'job ' .. old.name .. ' has no failed target'
        .. (left_out ~= '' and ' that a retry may erase; left out: ' .. left_out or ''))
    old['take-over'], old.engines = 'yes', table.concat(engines, ',')
    local answer = deploy_new(meta, old, items, warrants, old.id)
    answer['left-out'] = left_out ~= '' and left_out or nil
    return answer
end

-- The same again over what failed.
serve('job_retry', function(meta, body)
    local old = R.job_find(body.job)
    need(R.is('job', old, 'ended'), E.REFUSED, 'job ' .. old.name
        .. ' has not ended; follow it with: ramet job watch ' .. old.name)
    need(not R.is('job', old, 'done'), E.REFUSED,
        'job ' .. old.name .. ' did not fail, so a retry has nothing to do')
    if body['dry-run'] == 'yes' and old.kind ~= 'deploy' then
        return { targets = 0 }
    end
    if old.kind == 'image' then
        local name = old['image-name']
        R.image_reserve(meta, name)
        return R.job_new(meta, 'image', { source = old.source, place = old.place,
            ['image-name'] = name, exclude = old.exclude or '',
            without = old.without or '', raw = old.raw or '',
            paranoid = old.paranoid or '', retries = old.id })
    end
    need(old.kind == 'plan' or old.kind == 'deploy', E.REFUSED, 'a job of kind '
        .. old.kind .. ' cannot be retried; give its command again')
    old.count, old['dry-run'] = body.count, body['dry-run']
    if old.kind == 'plan' then
        local fields = deploy_fields(old, R.image_find(old.image), words(old.engines))
        fields['only-target'] = old['only-target']
        return R.job_new(meta, 'plan', fields)
    end
    return deploy_again(meta, old, set(body.warrants)
        and R.warrants_need(body.warrants) or R.warrants_of(old.id))
end)
