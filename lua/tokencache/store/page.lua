--- Asks a store for a page of its keys, and says what is wrong with what it returns.

local errors = require "tokencache.error"
local in_words = require "tokencache.util.in_words"
local options = require "tokencache.util.options"

local function problem_of(page, more, seen)
  if type(page) ~= "table" then
    return "it returned " .. in_words(page) .. "; return a list, which may be empty, or nil and an "
      .. "error"
  elseif not options.is_list(page, "string") then
    return "its list has a hole, or holds something else than strings"
  elseif more == false or more ~= nil and seen[more] then
    return "its next cursor is " .. (more and "one that it returned before" or "false")
      .. ", so the list has no end; return nil for it after the last page"
  end
end

---@param store tokencache.Store
---@param prefix string
---@param cursor any    nil: the first page
---@param seen table    the cursors of the list so far, kept up here
---@return string[]?
---@return any more     the cursor of the next page, or nil; without a page what went wrong, as text
return function(store, prefix, cursor, seen)
  local page, more = store:keys(prefix, cursor)
  if not page and more ~= nil then
    return nil, tostring(errors.wrap("cache", more))
  end
  local problem = problem_of(page, more, seen)
  if problem then
    return nil, "the store's keys() is wrong: " .. problem
  elseif type(more) == "string" or type(more) == "number" then -- a table may change meanwhile
    seen[more] = true
  end
  return page, more
end
