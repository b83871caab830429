-- What strangers send to tokencache.nginx.login, in numbers: nobody gets in by it, no page tells of
-- an error, and nothing of it stays where sessions are kept.

local flood = require "support.flood"
local folder = require "support.folder"
local login_gateway = require "support.login_gateway"
local loopback = require "support.loopback"
local oidc_provider = require "support.oidc_provider"
local redis_server = require "support.redis_server"

local FORGED = { Redis = 10000, files = 1000, ["a shared dictionary"] = 1000 }

local BESIDE = [[
  server {
    listen 127.0.0.1:$BESIDE;
    location /dict {
      content_by_lua_block {
        local dict = ngx.shared.tokencache
        dict:flush_expired()
        ngx.print(table.concat(dict:get_keys(0), "\n"), "\n")
      }
    }
  }
]]

local STORES = {
  Redis = "tokencache.store.redis { port = %d }",
  files = "tokencache.store.file { directory = %q }",
  ["a shared dictionary"] = "tokencache.store.shared_dict(ngx.shared.tokencache)",
}

local CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

local function random_text(length)
  local text = {}
  for i = 1, length do
    local at = math.random(#CHARACTERS)
    text[i] = CHARACTERS:sub(at, at)
  end
  return table.concat(text)
end

--- Cookies that somebody has made up: most look like one of ours.
local function forged(i)
  local shape = i % 5
  if shape == 0 then
    return "tokencache=" .. random_text(math.random(200))
  elseif shape == 1 then
    return ("tokencache=2.%s; tokencache-2=%s"):format(random_text(100), random_text(100))
  elseif shape == 2 then
    return ("tokencache=%s; tokencache-login-%d=%s"):format(random_text(43), i % 4,
      random_text(300))
  end
  return "tokencache=" .. random_text(43)
end

describe("tokencache.nginx.login under attack, with sessions in", function()
  local provider, redis, files

  setup(function()
    provider = oidc_provider.start()
    redis = redis_server.start()
    files = folder.new()
  end)

  teardown(function()
    provider:stop()
    redis:stop()
    files:remove()
  end)

  for name, store in pairs(STORES) do
    describe(name, function()
      local gateway, beside, alice

      setup(function()
        beside = loopback.free_port()
        gateway = login_gateway.start(provider, {
          store = store:format(name == "Redis" and redis.port or files.path),
        }, { http = BESIDE, values = { BESIDE = tostring(beside) } })
        alice = gateway:new_browser()
        alice:log_in("alice")
        assert.equal("alice", alice:user())
      end)

      teardown(function()
        assert.equal("alice", alice:user())
        gateway:stop()
      end)

      --- The names of all that is kept, anywhere.
      local function kept()
        local names = {}
        local _, dict = gateway.server:get("/dict", { port = beside })
        for key in (redis:cli("KEYS", "*") .. "\n" .. files:shell("ls") .. "\n" .. dict)
          :gmatch "[^\n]+" do
          names[key] = true
        end
        return names
      end

      local function attack(count, path, cookie_of)
        local before = kept()
        local statuses = flood(gateway.server.port, count, function(i)
          return path, { Cookie = cookie_of(i), Accept = "*/*" }
        end)
        for key in pairs(kept()) do
          assert.is_true(before[key], key .. " is left")
        end
        return statuses
      end

      it(FORGED[name] .. " forged cookies", function()
        assert.same({ [401] = FORGED[name] }, attack(FORGED[name], "/", forged))
      end)

      it("headers that only the gateway may send", function()
        for _, line in ipairs { "X-User: root", "x-user: root\r\nX-USER: root", "X_User: root",
          "X-User : root", "X-User: a\r\n root", "X-User\t: root", "X-User:\troot", " X-User: root",
          "X-User: alice\r\nx-User: root", "Connection: close, X-User\r\nX-User: root",
          "X-User:\r\nX-User: root", "Transfer-Encoding: chunked\r\nX-User: root",
          "Authorization: root", "authorization: Bearer root\r\nAuthorization: Bearer root",
          "X.User: root\r\nX~User: root\r\nX!uSER: root" } do
          local header, value = line:match "^([^:]*): ?(.*)$"
          local answer = alice:get("/", { [header] = value })
          local told = answer.body:gsub("GET .-\r\n", "", 1):lower()
          if answer.status ~= 400 then
            assert.equal(200, answer.status, line)
            assert.matches("\r\nx%-user: alice\r\n", told)
            assert.is_nil(told:find("root", 1, true), line .. " became " .. told)
          end
        end
      end)

      it("forged callbacks", function()
        assert.same({ [400] = 200 }, attack(200, "/auth/callback?code=a&state=b", forged))
      end)

      it("a real cookie with a bit changed", function()
        local cookie = alice.cookies.tokencache:sub(1, 43)
        local rest = alice.cookies.tokencache:sub(44)
        local changed = {}
        for i = 1, #cookie do
          for bit = 0, 5 do
            local at = CHARACTERS:find(cookie:sub(i, i), 1, true) - 1
            at = at + (math.floor(at / 2 ^ bit) % 2 == 0 and 1 or -1) * 2 ^ bit
            changed[#changed + 1] = cookie:sub(1, i - 1) .. CHARACTERS:sub(at + 1, at + 1)
              .. cookie:sub(i + 1)
          end
        end
        assert.same({ [401] = #changed }, attack(#changed, "/", function(i)
          return "tokencache=" .. changed[i] .. rest
        end))
      end)
    end)
  end
end)
