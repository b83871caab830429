--- Handlers over a store that lists its keys in pages of five: a sound one, and some that do it
--- wrong, with the test of the contract suite that must notice.

local from_store = require("tokencache").cache.from_store
local merged = require "support.merged"
local new_table_store = require "support.table_store"

local PAGE = 5

local function is_token(key)
  return not key:find "^tokencache%-"
end

local function sorted(self, prefix, may_list)
  local all = {}
  for key in pairs(self.entries) do
    if key:sub(1, #prefix) == prefix and (may_list or is_token)(key) then
      all[#all + 1] = key
    end
  end
  table.sort(all)
  return all
end

--- A page from that index on.
local function page_from(all, first)
  local page = {}
  for i = first, math.min(first + PAGE - 1, #all) do
    page[#page + 1] = all[i]
  end
  return page, all[first + PAGE] and page[PAGE] or nil
end

--- The cursor is the last key of the page before.
local function list(self, prefix, cursor, may_list)
  local all, first = sorted(self, prefix, may_list), 1
  while cursor and all[first] and all[first] <= cursor do
    first = first + 1
  end
  return page_from(all, first)
end

local LISTS = "lists its keys, if it is over a store with keys"
local REMOVES = "lists the rest while keys are removed, if it is over a store with keys"

local broken = {
  ["lists without end"] = { function(self, prefix)
    return list(self, prefix), "the cursor"
  end, LISTS },
  ["lists the first page alone"] = { function(self, prefix)
    return (list(self, prefix))
  end, LISTS },
  ["lists some twice"] = { function(self, ...)
    local page, more = list(self, ...)
    page[#page + 1] = page[1]
    return page, more
  end, LISTS },
  ["lists whatever the prefix"] = { function(self, _, cursor)
    return list(self, "", cursor)
  end, LISTS },
  ["takes the prefix for a pattern"] = { function(self, prefix, cursor)
    return list(self, (prefix:gsub("%*$", "")), cursor)
  end, LISTS },
  ["lists marks"] = { function(self, prefix, cursor)
    return list(self, prefix, cursor, function() return true end)
  end, LISTS },
  ["counts where keys are removed"] = { function(self, prefix, cursor)
    local page, more = page_from(sorted(self, prefix), cursor or 1)
    return page, more and (cursor or 1) + PAGE
  end, REMOVES },
}

local function maker(keys)
  local store = merged(new_table_store(), { keys = keys })
  return function(name)
    return from_store(store, name)
  end
end

local lists = { broken = {}, sound = maker(list) }

for name, case in pairs(broken) do
  lists.broken[name] = { make = maker(case[1]), noticed_by = case[2] }
end

return lists
