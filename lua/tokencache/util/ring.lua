--- A bounded collection, from which the items go first that were not used for a while. When it is
--- full, a hand goes round: it removes the mark of use from each item that has one, and puts out
--- the first item without (the clock algorithm). To mark a use takes one assignment: `item.used =
--- true`.

local Ring = {}
Ring.__index = Ring

--- Returns a slot for a new item, and puts out an unused item for it. If all must be kept, that is
--- one slot above the limit.
local function free_slot(self)
  local slots, count = self.slots, self.count
  for _ = 1, 2 * count do
    self.hand = self.hand % count + 1
    local item = slots[self.hand]
    if item == nil then
      return self.hand
    elseif item.used then
      item.used = false
    elseif not item.kept then
      self.put_out(item)
      return self.hand
    end
  end
  return count + 1
end

--- What is new stays for a whole round of the hand. It counts as used only when it is used again,
--- so that many who come once put out each other and not those who come often.
---@param item table  its fields: used, set to true by who uses it; kept, true while it must stay
function Ring:add(item)
  local slot = self.count + 1
  if slot > self.limit then
    slot = free_slot(self)
  end
  if slot > self.count then
    self.count = slot
  end
  item.used = false
  self.slots[slot] = item
end

--- What is too much by now goes: the unused first, then whatever is not kept.
---@param limit integer
function Ring:set_limit(limit)
  self.limit = limit
  local slots, left, kept = self.slots, {}, 0
  for i = 1, self.count do
    local item = slots[i]
    left[#left + 1], slots[i] = item, nil
  end
  local surplus = #left - limit
  for round = 1, 2 do
    for i, item in ipairs(left) do
      if surplus > 0 and item and not item.kept and (round == 2 or not item.used) then
        left[i], surplus = false, surplus - 1
        self.put_out(item)
      end
    end
  end
  for _, item in ipairs(left) do
    if item then
      kept = kept + 1
      slots[kept] = item
    end
  end
  self.count, self.hand = kept, 0
end

---@param limit integer
---@param put_out fun(item: table)  called for what has to go
---@param mode? "v"  things that nobody else holds are collected
return function(limit, put_out, mode)
  return setmetatable({ limit = limit, put_out = put_out, count = 0, hand = 0,
    slots = setmetatable({}, { __mode = mode }) }, Ring)
end
