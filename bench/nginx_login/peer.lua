--- lua-resty-openidc with lua-resty-session 4, as its README has it, with sessions in Redis. The
--- environment variable PEERS names a directory that holds them: docs/performance.md.

local gateways = require "bench.gateways"
local process = require "support.process"

local peer = {}

local LIBRARIES = { "lua-resty-openidc", "lua-resty-session", "lua-resty-http", "lua-resty-jwt",
  "lua-resty-openssl", "lua-resty-hmac", "lua-resty-string", "lua-resty-redis", "lua-ffi-zlib" }

--- Where its Lua files are.
---@return string? path  for package.path
---@return string? why  they are missing
local function find()
  local directory = os.getenv "PEERS"
  if not directory then
    return nil, "PEERS names no directory with lua-resty-openidc (docs/performance.md)"
  end
  local path = {}
  for i, name in ipairs(LIBRARIES) do
    local library = directory .. "/" .. name .. "/lib"
    if process.run { "test", "-d", library } ~= 0 then
      return nil, library .. " is missing (docs/performance.md)"
    end
    path[i] = library .. "/?.lua;" .. library .. "/?/init.lua"
  end
  return table.concat(path, ";")
end

local HTTP = gateways.HTTP .. [[
  lua_shared_dict discovery 1m;
  lua_shared_dict jwks 1m;
  init_by_lua_block {
    package.path = "%s;" .. package.path
    require "resty.openidc"
  }
]]

local ACCESS = [[
  access_by_lua_block {
    local opts = {
      redirect_uri = "http://127.0.0.1:$PORT/callback",
      discovery = "$ISSUER/.well-known/openid-configuration",
      client_id = "$CLIENT_ID",
      client_secret = "$CLIENT_SECRET",
      scope = "openid",
    }
    local session_opts = {
      secret = "a secret of the bench",
      storage = "redis",
      redis = { host = "127.0.0.1", port = $PEER_REDIS },
      cookie_http_only = true,
      cookie_same_site = "Lax",
    }
    local res, err = require("resty.openidc").authenticate(opts, nil, nil, session_opts)
    if err then
      ngx.status = 500
      ngx.say(err)
      ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
    ngx.req.set_header("X-USER", res.id_token.sub)
    ngx.req.set_header("Authorization", "Bearer " .. res.access_token)
  }
]]

---@return GatewaySettings?
---@return string? why  there are none
function peer.settings()
  local path, why = find()
  if not path then
    return nil, why
  end
  return { name = "lua-resty-openidc", http = HTTP:format(path), location = ACCESS }
end

return peer
