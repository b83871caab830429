--- Writes down what the parts of a test are asked for, in turn.
---
---     local notes = new_notes()
---     local front = notes:watch("front", store, { get = "get", set = "save" })
---     front:get "ann"
---     notes:take()                -- "front get ann", and begins anew
---     front.failing.save = "away" -- front:set returns nil, "away"

---@class Notes
---@field private list string[]
local Notes = {}
Notes.__index = Notes

--- Has an object's methods noted by the names given, with the first argument if it is a string.
---@param name string
---@param object table
---@param actions table<string, string>  by method
---@return table object
function Notes:watch(name, object, actions)
  object.failing = {}
  for method, action in pairs(actions) do
    local call = object[method]
    object[method] = function(this, first, ...)
      local detail = type(first) == "string" and " " .. first or first == true and " anew" or ""
      self.list[#self.list + 1] = name .. " " .. action .. detail
      if object.failing[action] then
        return nil, object.failing[action]
      end
      return call(this, first, ...)
    end
  end
  return object
end

---@return string
function Notes:take()
  local all = table.concat(self.list, ", ")
  self.list = {}
  return all
end

return function()
  return setmetatable({ list = {} }, Notes)
end
