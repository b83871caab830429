--- Warns of scopes that a login has asked for and not got (RFC 6749 §5.1).

local core = require "tokencache._core"
local log = require "tokencache.log"

--- What stands for an ID token and for a refresh token: many answers leave it out.
local UNSAID = { openid = true, offline_access = true, offline = true }

--- Returns the words of a scope as a set; empty: nothing is said.
local function words_of(scope)
  local words = {}
  for word in (type(scope) == "string" and scope or ""):gmatch "[^%s,]+" do
    words[word] = true
  end
  return words
end

--- "user" holds "user:email" (GitHub).
local function has(granted, word)
  return UNSAID[word] or granted[word] or granted[word:match "^[^:]*"]
end

--- An answer with a word that nobody has asked for has other names for some of the scopes, and so
--- does not tell which are missing: Google says ".../userinfo.email" for "email".
---@param flow tokencache.UserFlow
---@param object table  the answer to a login
return function(flow, object)
  local asked, granted, missing = words_of(flow.client:scope()), words_of(object.scope), {}
  for word in pairs(granted) do
    if not asked[word] and not UNSAID[word] then
      return
    end
  end
  for word in pairs(next(granted) and asked or granted) do
    if not has(granted, word) then
      missing[#missing + 1] = word
    end
  end
  if missing[1] then
    table.sort(missing)
    local text = table.concat(missing, " ")
    log.repeated("warning", "scope: " .. flow.client_id .. " " .. text, "the provider did not "
      .. "grant the login all scopes; missing: ", core.printable(text))
  end
end
