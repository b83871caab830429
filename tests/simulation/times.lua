--- What the times say by which logins are noted: in whole seconds, by clocks that differ.

local times = {}

--- Whether there was another login of the same second: logins are noted in whole seconds.
function times.has_twin(account, family)
  for _, other in ipairs(account.families) do
    if other ~= family and other.received_at and family.received_at
      and math.floor(other.received_at) == math.floor(family.received_at) then
      return true
    end
  end
  return false
end

--- Whether clocks say of two logins that the earlier one was the later one.
function times.is_taken_for_later(earlier, later)
  return earlier.at < later.at
    and (earlier.noted_at or earlier.at) >= (later.noted_at or later.at) - 1
end

--- Whether the present login could not be saved at once, and was then told by the clocks from one
--- before it.
---@param receiver? simulation.Process  of its newest token
function times.have_decided(account, receiver)
  for _, family in ipairs(account.families) do
    if account.unsaved_by[receiver] and times.is_taken_for_later(family, account.current) then
      return true
    end
  end
  return false
end

return times
