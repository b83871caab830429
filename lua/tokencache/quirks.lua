--- What providers want and answer otherwise than the RFCs say: put right on the way out and in. The
--- fields that say so are those of tokencache.Provider.

local quirks = {}

--- A list of scopes as one text; nil: it is no list of strings.
---@param scopes table
---@return string?
function quirks.joined(scopes)
  local count = 0
  for _ in pairs(scopes) do
    count = count + 1
    if type(scopes[count]) ~= "string" then
      return nil
    end
  end
  return table.concat(scopes, " ")
end

--- Puts right what an answer means but does not say.
---@param flow tokencache.Flow
---@param object table  the answer's, changed in place
function quirks.mend(flow, object)
  local scope, token_type = object.scope, object.token_type
  if type(scope) == "table" then
    object.scope = quirks.joined(scope) -- Twitch's
  end
  if flow.token_types and type(token_type) == "string" and flow.token_types[token_type:lower()] then
    object.token_type = "Bearer"
  end
end

local function lowered(names)
  local set = {}
  for _, name in ipairs(names) do
    set[name:lower()] = true
  end
  return set
end

--- Adds to a flow what it needs to know of its provider's quirks.
---@param flow table
---@param server tokencache.Provider  checked
function quirks.take(flow, server)
  flow.token_types = server.token_types and lowered(server.token_types)
end

return quirks
