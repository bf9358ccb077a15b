-- Blast radius: how many machines one job may reach (docs/spec/4-control.md, "Blast
-- radius").

-- Approved targets of the farm, counted no further than is asked.
local function inventory(at_most)
    local count = 0
    for _, name in ipairs(call('ZRANGE', P .. 'targets', 0, -1)) do
        if count == at_most then
            break
        elseif R.is_now('approval', 'target:' .. name, 'approved') then
            count = count + 1
        end
    end
    return count
end

-- Why a job over so many targets is large, or nil.
local function why_large(count)
    if count > L.LARGE_TARGETS then
        return 'more than ' .. L.LARGE_TARGETS
    end
    local farm = inventory(math.max(L.LARGE_FARM, count * L.LARGE_PART))
    local is_large = farm >= L.LARGE_FARM and count * L.LARGE_PART > farm
    return is_large and 'more than a fifth of the ' .. farm .. ' targets of the farm' or nil
end

-- What a job over these targets would erase, for the question that a user answers.
function R.radius_tell(fields, targets)
    return { targets = #targets, engines = fields.engines,
        ['image-name'] = fields['image-name'], large = why_large(#targets) or 'no' }
end

-- Refuse a job with another number of targets than its user has counted, and a large one
-- whose targets were not counted.
function R.radius_need(body, targets)
    local count = #targets
    need(not set(body.count) or body.count == str(count), E.USAGE, 'the user counted '
        .. tostring(body.count) .. ' targets, but the job has ' .. count
        .. '; look at the list of targets, then give --count ' .. count)
    local large = not set(body.count) and why_large(count)
    need(not large, E.USAGE, 'the job would erase ' .. count .. ' targets, ' .. tostring(large)
        .. ', so it needs their number: --count ' .. count)
end
