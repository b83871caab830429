--- Run inside nginx by phases_spec.lua: tries everything in the phase it is called from, and leaves
--- what came of it in the dictionary `results`.

local cosocket_http = require "support.cosocket_http"
local in_nginx = require "support.in_nginx"
local merged = require "support.merged"
local tokencache = require "tokencache"

local dicts = ngx.shared
local phases = {}

local URL -- the token endpoint's
local REDIS_PORT
local FRESH = { access_token = "fresh", expires_at = 9999999999 }
local EXPIRED = { access_token = "expired", expires_at = 1 }

local function new_flow(cache, options)
  return in_nginx.new_flow(URL, cache, merged({ timeout = 5 }, options))
end

local function dict_handler(key)
  return tokencache.cache.from_store(tokencache.store.shared_dict(dicts.tokens), key)
end

--- What the dictionary holds (nothing, without `info`), and the file behind it.
local function two_tiers(key, info, file)
  local front = dict_handler(key)
  if info then
    assert(front:save_token_to_cache(info))
  end
  return tokencache.cache.tiered { front = front,
    back = tokencache.cache.file { cache_path = file } }
end

--- A handler of the user's own that yields.
local function sleepy_handler(token)
  return {
    get_cached_token = function()
      ngx.sleep(0.001)
      return token
    end,
    save_token_to_cache = function(_, info)
      ngx.sleep(0.001)
      token = info
    end,
  }
end

--- What works in every phase; each returns a token or nil, err.
phases.anywhere = {
  memory = function()
    return new_flow(tokencache.cache.memory { token_info = FRESH }):get_access_token()
  end,
  ["shared dictionary"] = function()
    local handler = dict_handler "fresh"
    assert(handler:save_token_to_cache(FRESH))
    return new_flow(handler):get_access_token()
  end,
  lock = function()
    local store = tokencache.store.shared_dict(dicts.tokens)
    local handle = assert(store:try_lock("phases", 10))
    assert(store:unlock(handle))
    return "fresh"
  end,
  ["seconds left"] = function()
    local info = { access_token = "fresh", expires_at = os.time() + 30 }
    return new_flow(tokencache.cache.memory { token_info = info },
      { http = { request = function() return nil, "away" end } }):get_access_token()
  end,
  ["peek in front"] = function(file)
    return new_flow(two_tiers("peek", FRESH, file)):peek_access_token()
  end,
  ["seconds left in front"] = function(file)
    local info = { access_token = "fresh", expires_at = os.time() + 30 }
    return new_flow(two_tiers("seconds", info, file)):get_access_token()
  end,
  ["authorize URL"] = function()
    local flow = tokencache.flow.pkce {
      provider = { token_url = URL, authorize_url = "https://login.example/" }, client_id = "a",
      redirect_uri = "https://app.example/callback", cache = tokencache.cache.memory {},
    }
    local url, err = flow:get_authorize_url()
    return url and "fresh", err
  end,
}

--- What works where one can wait, and is refused elsewhere.
phases.waiting = {
  file = function(file)
    return new_flow(tokencache.cache.file { cache_path = file }):get_access_token()
  end,
  ["peek behind"] = function(file, phase)
    return new_flow(two_tiers("empty in " .. phase, nil, file)):peek_access_token()
  end,
  Redis = function()
    return new_flow(tokencache.cache.redis { port = REDIS_PORT }):get_access_token()
  end,
  request = function()
    return new_flow(tokencache.cache.memory { token_info = EXPIRED }):get_access_token()
  end,
  ["busy lock"] = function(_, phase)
    assert(tokencache.store.shared_dict(dicts.tokens):try_lock(phase, 0.2))
    return new_flow(dict_handler(phase)):get_access_token()
  end,
}

--- What is the user's own and waits by itself.
phases.own = {
  handler = function()
    return new_flow(sleepy_handler(FRESH)):get_access_token()
  end,
  ["handler that saves"] = function()
    return new_flow(sleepy_handler(), { http = cosocket_http }):get_access_token()
  end,
  transport = function()
    return new_flow(tokencache.cache.memory {}, { http = cosocket_http }):get_access_token()
  end,
}

local function note(phase, name, try, ...)
  local token, err = try(...)
  dicts.results:set(phase .. " " .. name, token or ("%s: %s"):format(err.kind, err.message))
end

---@param url string  the token endpoint's
---@param redis_port integer
function phases.setup(url, redis_port)
  URL, REDIS_PORT = url, redis_port
end

---@param phase string   what to call it; without one nothing is done
---@param file string    that holds a token
---@param can_wait boolean
function phases.try(phase, file, can_wait)
  for name, try in pairs(phases.anywhere) do
    note(phase, name, try, file)
  end
  for name, try in pairs(phases.waiting) do
    note(phase, name, try, file, phase)
  end
  for name, try in pairs(can_wait and phases.own or {}) do
    note(phase, name, try)
  end
end

return phases
