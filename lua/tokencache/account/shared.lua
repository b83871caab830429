--- What the workers of one nginx tell each other of their accounts. They use a shared dictionary
--- that the program names: `tokencache.nginx.owed = ngx.shared.NAME`. Without one, and outside of
--- nginx, each process knows only what it has done itself.

local environment = require "tokencache.environment"
local settings = require "tokencache.nginx.settings"
local log = require "tokencache.log"
local token_info = require "tokencache.token_info"

local shared = {}

local FAILURE_LIFE = 60 -- seconds: nobody waits for longer
local DEBT_LIFE = 86400 -- seconds: whoever owes a token puts it there anew
local OF_ONE_PROCESS = 1 -- the first byte of ids that mean nothing to others

local json, keys -- loaded when first used

---@param id string  of an account
---@return table? dict
---@return string? name  of the entry
local function place_of(prefix, id)
  local dict = environment.nginx and settings.owed
  if not dict or id:byte() == OF_ONE_PROCESS then
    return nil
  end
  json = json or require "tokencache.json"
  keys = keys or require "tokencache.key"
  local digest = keys.sha256(id)
  return digest and dict, digest and prefix .. digest
end

--- What is there of others is not put out, as it may be a token that is kept nowhere else.
local function put(dict, name, text, life)
  local ok, problem = dict:safe_set(name, text, life)
  if problem == "no memory" and dict:flush_expired() > 0 then
    ok, problem = dict:safe_set(name, text, life)
  end
  if not ok then
    log.repeated("warning", "owed: " .. problem, "tokencache.nginx.owed: ", problem,
      problem == "no memory" and "; enlarge the lua_shared_dict" or "")
  end
  return ok
end

local FIELDS = { "kind", "message", "code", "description", "status", "retry_after" }

---@param id string  of the account
---@param failure { err: tokencache.Error, at: number, who: string }
function shared.put_failure(id, failure)
  local dict, name = place_of("tokencache-failure:", id)
  if not dict then
    return
  end
  local err = {}
  for _, field in ipairs(FIELDS) do
    err[field] = failure.err[field]
  end
  local text = json.encode { err = err, at = failure.at, who = failure.who }
  if text then
    put(dict, name, text, FAILURE_LIFE)
  end
end

---@param id string
---@return { err: table, at: number, who: string }?
function shared.get_failure(id)
  local dict, name = place_of("tokencache-failure:", id)
  local text = dict and dict:get(name)
  return text and json.decode(text) or nil
end

--- What tells a token from others.
---@param info? tokencache.TokenInfo
---@return string?
local function mark_of(info)
  return info and keys.sha256(info.access_token .. "\0" .. (info.refresh_token or ""))
end

local ENTRY = "^(%x+)\n(.*)$"

---@class tokencache.SharedDebt
---@field info tokencache.TokenInfo  the token that is owed
---@field over? string       what it replaces: its mark; nil: nothing was there
---@field is_login? boolean
---@field since number       Unix seconds: a log out since then counts for it
---@field came_at number     Unix seconds: when it was received
---@field tries integer      to save it: none, or some
---@field mark? string|false  of a log out that does not count for it

--- Tells the other workers of a token that is owed.
---@param owed tokencache.Debt
function shared.put_debt(owed)
  local account = owed.account
  local dict, name = place_of("tokencache-owed:", account.id)
  if not dict then
    return
  end
  local handler = account.handler
  local text, err = json.encode { info = owed.info, over = mark_of(owed.read),
    is_login = owed.is_login, since = owed.since, came_at = owed.came_at, tries = owed.tries,
    mark = owed.mark }
  if text and handler.protect then
    text, err = handler:protect(text)
  end
  if text then
    owed.is_shared = put(dict, name, mark_of(owed.info) .. "\n" .. text, DEBT_LIFE)
  else
    log.warning("tokencache.nginx.owed: a token could not be put there: ", err)
  end
end

--- What some worker owes to the account's store.
---@param account tokencache.Account
---@return tokencache.SharedDebt?
function shared.get_debt(account)
  local dict, name = place_of("tokencache-owed:", account.id)
  local entry = dict and dict:get(name)
  local text = entry and select(2, entry:match(ENTRY))
  local err
  if text and account.handler.reveal then
    text, err = account.handler:reveal(text)
  end
  local debt = text and json.decode(text)
  if debt and token_info.normalise(debt.info, json.null) then
    return debt
  elseif entry then
    log.repeated("warning", "owed: read", "tokencache.nginx.owed: a token there cannot be read",
      err and ": " or "", err or "")
  end
end

--- Reports whether another worker has taken over what this one owes, and dealt with it.
---@param owed tokencache.Debt
---@return boolean
function shared.was_taken(owed)
  local dict, name = place_of("tokencache-owed:", owed.account.id)
  if not owed.is_shared or not dict then
    return false
  end
  return (dict:get(name) or ""):match(ENTRY) ~= mark_of(owed.info)
end

--- Tells them what has changed of it, unless one of them has taken it over.
---@param owed tokencache.Debt
function shared.update_debt(owed)
  if owed.is_shared and not shared.was_taken(owed) then
    shared.put_debt(owed)
  end
end

--- It is saved, or of no use any more.
---@param id string      of the account
---@param info? tokencache.TokenInfo  only if it is this one that is owed there
function shared.drop_debt(id, info)
  local dict, name = place_of("tokencache-owed:", id)
  local entry = dict and dict:get(name)
  if entry and (not info or entry:match(ENTRY) == mark_of(info)) then
    dict:delete(name)
  end
end

--- Whether the token is the one that a debt there replaces.
---@param debt tokencache.SharedDebt
---@param info? tokencache.TokenInfo
---@return boolean
function shared.replaces(debt, info)
  return debt.over ~= nil and debt.over == mark_of(info)
end

local warned = false

--- Warns, once, where other workers may lose a login over a debt of which they do not know.
---@param owed tokencache.Debt
function shared.warn_of_absence(owed)
  if warned or not environment.nginx or settings.owed
    or not token_info.has_refresh_token(owed.info) then
    return
  end
  warned = true
  log.warning("a token could not be saved, and the other workers do not know of it; name a "
    .. "lua_shared_dict where they find it: tokencache.nginx.owed = ngx.shared.NAME")
end

return shared
