-- A renewed token that cannot be saved is not lost: its worker owes it to the store, and the other
-- workers of the same nginx know of it. The provider takes each refresh token once, and ends the
-- login of whoever sends one twice.

local folder = require "support.folder"
local process = require "support.process"
local redis_server = require "support.redis_server"
local workers_with_login = require "support.workers_with_login"

local FILL = [[
  location /fill {
    content_by_lua_block {
      local dict, count = ngx.shared.tokens, 0
      for _, size in ipairs { 2000, 200, 20 } do
        while dict:safe_set("fill " .. count, ("x"):rep(size)) do
          count = count + 1
        end
      end
      ngx.say("full")
    }
  }
  location /free {
    content_by_lua_block {
      for _, key in ipairs(ngx.shared.tokens:get_keys(0)) do
        if key:find("^fill ") then ngx.shared.tokens:delete(key) end
      end
      ngx.say("free")
    }
  }
]]

describe("a token whose save fails, in nginx", function()
  local stage

  after_each(function() stage:stop() end)

  --- For each kind of store, how it comes to fail, for the token alone, and is mended.
  local kinds = {
    {
      name = "a shared dictionary that has become full",
      start = function(settings)
        settings.store, settings.server = "shared_dict(ngx.shared.tokens)", FILL
        stage = workers_with_login.start(settings)
        return function() stage.nginx:get("/fill") end, function() stage.nginx:get("/free") end
      end,
    },
    {
      name = "Redis that lets nobody write the token any more",
      start = function(settings)
        local redis = redis_server.start()
        settings.clean_up = function() redis:stop() end
        settings.store = ("redis { port = %d }"):format(redis.port)
        stage = workers_with_login.start(settings)
        return function()
          redis:cli("ACL", "SETUSER", "default", "resetkeys", "%R~*", "~tokencache-lock:*")
        end, function() redis:cli("ACL", "SETUSER", "default", "~*") end
      end,
    },
    {
      name = "a directory that is gone for a while",
      start = function(settings)
        local directory = folder.new()
        settings.clean_up = function() directory:remove() end
        directory:shell("mkdir tokens")
        settings.store = ('file { directory = "%s" }'):format(directory:file("tokens"))
        stage = workers_with_login.start(settings)
        return function() directory:shell("mv tokens away") end,
          function() directory:shell("mv away tokens") end
      end,
    },
  }

  --- The fault comes while the provider is at work. Returns the worker that owes, and the token.
  local function fall_into_debt(spoil)
    stage.nginx:announce("could not be saved")
    stage.provider:next_token { held = true }
    local request = stage:begin("/token")
    stage:wait_for_requests(1)
    spoil()
    stage.provider:release()
    local _, body = request:finish()
    local pid, token = body:match("^(%d+) (%S+)\n$")
    assert.is_string(token, body)
    assert.is_true(stage.provider:has_given(token))
    pid = math.floor(tonumber(pid))
    assert.equal(1, stage:owing(pid))
    return pid, token
  end

  for _, kind in ipairs(kinds) do
    it("goes to all workers, and into the store once that works again: " .. kind.name, function()
      local spoil, mend = kind.start {}
      local before = stage:entry()
      local pid, token = fall_into_debt(spoil)
      local other = stage:other(pid)
      for _ = 1, 3 do
        assert.same({ pid, token }, { stage:ask("/token", pid) })
        assert.same({ other, token }, { stage:ask("/token", other) })
      end
      mend()
      assert.equal(before.refresh_token, stage:entry().refresh_token)
      assert.same({ pid, token }, { stage:ask("/token", pid) })
      process.wait_until("the token to be saved", function()
        return stage:entry().access_token == token
      end)
      process.wait_until("nothing to be owed", function() return stage:owing(pid) == 0 end)
      assert.same({ other, token }, { stage:ask("/token", other) })
      assert.equal(1, stage:renewals())
      assert.equal("0\n", (select(2, stage.nginx:get("/debts"))))
      stage:expire()
      local _, next_token = stage:ask("/token", other)
      assert.is_true(stage.provider:introspect(next_token).active)
      assert.equal(2, stage:renewals())
    end)

    it("is not even asked for where the store is known to fail: " .. kind.name, function()
      local spoil, mend = kind.start {}
      spoil()
      for _ = 1, 3 do
        local _, text = stage:ask("/token")
        assert.matches("^cache: ", text)
      end
      assert.equal(0, stage.provider:token_requests() - stage.before)
      mend()
      local _, token = stage:ask("/token")
      assert.is_true(stage.provider:introspect(token).active)
      assert.equal(1, stage:renewals())
    end)
  end

  it("is saved by a timer where nobody asks", function()
    local spoil, mend = kinds[1].start {}
    local _, token = fall_into_debt(spoil)
    mend()
    process.wait_until("the token to be saved", function()
      return stage:entry().access_token == token
    end)
    assert.equal(1, stage:renewals())
  end)

  it("is taken over from a worker that was killed", function()
    local spoil, mend = kinds[2].start {}
    stage.nginx:announce("exited on signal 9")
    local pid, token = fall_into_debt(spoil)
    process.run { "kill", "-9", tostring(pid) }
    process.wait_until("another worker in its place", function()
      local pids = stage.nginx:worker_pids()
      return #pids == 2 and pids[1] ~= pid and pids[2] ~= pid
    end)
    for _, other in ipairs(stage.nginx:worker_pids()) do
      assert.same({ other, token }, { stage:ask("/token", other) })
    end
    mend()
    process.wait_until("the token to be saved by another worker", function()
      stage:ask("/token?refused=" .. "another&timeout=0.2")
      return stage:entry().access_token == token
    end)
    assert.equal(1, stage:renewals())
  end)

  it("is renewed from where it is owed, by who has taken it over", function()
    local spoil, mend = kinds[2].start { provider = { token_lifetime = 3 }, login = "leeway = 1," }
    stage.nginx:announce("exited on signal 9")
    local pid, token = fall_into_debt(spoil)
    process.run { "kill", "-9", tostring(pid) }
    stage.provider:set_token_lifetime(3600)
    mend()
    local text
    process.wait_until("another token", function()
      text = select(2, stage:ask("/token?timeout=1"))
      return text ~= token and not text:find("^%l+: ")
    end)
    assert.is_true(stage.provider:introspect(text).active)
    assert.equal(text, stage:entry().access_token)
  end)

  for _, method in ipairs { "remove", "log_out" } do
    it("is forgotten by all workers after " .. method .. " by another", function()
      local spoil, mend = kinds[1].start {}
      local pid, token = fall_into_debt(spoil)
      mend()
      local _, said = stage:ask("/" .. method, stage:other(pid))
      -- half of its time it waits for the lock; on a busy machine it goes on after the other half
      assert.is_true(said == "true" or said:find "^timeout: .*, which goes on$" ~= nil, said)
      process.wait_until("the login and the debt to be gone", function()
        return stage:entry() == nil and select(2, stage.nginx:get("/debts")) == "0\n"
      end)
      for _, worker in ipairs(stage.nginx:worker_pids()) do
        local _, text = stage:ask("/token", worker)
        assert.matches("^reauthorize: ", text)
      end
      process.wait_until("nothing to be owed", function() return stage:owing(pid) == 0 end)
      if method == "log_out" then
        process.wait_until("the login to be revoked", function()
          return not stage.provider:introspect(token).active
        end)
      end
      assert.is_nil(stage:entry())
    end)
  end

  for i, kind in ipairs(kinds) do
    it("is saved by a worker that is told to end: " .. kind.name, function()
      local spoil, mend = kinds[i].start { owed = false }
      local _, token = fall_into_debt(spoil)
      mend()
      stage.nginx:reload()
      process.wait_until("the token to be saved", function()
        return stage:entry().access_token == token
      end)
      assert.equal(1, stage:renewals())
    end)
  end

  it("is told of in words to who waits for the lock in vain", function()
    local spoil = kinds[1].start { provider = { token_lifetime = 3 }, login = "leeway = 1," }
    local pid, token = fall_into_debt(spoil)
    local other, text = stage:other(pid), nil
    process.wait_until("the token to end", function()
      text = select(2, stage:ask("/token?timeout=0.3", other))
      return text ~= token
    end)
    assert.matches("^cache: another process keeps the cache's lock", text)
  end)

  it("is sealed in the dictionary of debts where it is sealed in the store", function()
    local redis = redis_server.start()
    stage = workers_with_login.start {
      clean_up = function() redis:stop() end,
      store = ("encrypted(s.redis { port = %d }, { keys = { a = ('k'):rep(32) }, use = 'a' })")
        :format(redis.port),
      server = [[
        location /owed {
          content_by_lua_block {
            for _, key in ipairs(ngx.shared.owed:get_keys()) do
              ngx.say(key, " ", ngx.shared.owed:get(key))
            end
          }
        }
      ]],
    }
    local pid, token = fall_into_debt(function()
      redis:cli("ACL", "SETUSER", "default", "resetkeys", "%R~*", "~tokencache-lock:*")
    end)
    local _, owed = stage.nginx:get("/owed")
    assert.matches("tokencache-sealed:1:a:", owed, 1, true)
    assert.is_nil(owed:find(token, 1, true))
    assert.is_nil(owed:find("refresh_token", 1, true))
    local other = stage:other(pid)
    assert.same({ other, token }, { stage:ask("/token", other) })
  end)

  it("is warned of, once, where the other workers cannot know of it", function()
    local spoil = kinds[1].start { owed = false }
    local pid = fall_into_debt(spoil)
    stage:ask("/token", pid)
    stage:ask("/token", pid)
    local _, count = stage.nginx:log():gsub("tokencache%.nginx%.owed = ngx%.shared%.NAME", "")
    assert.equal(1, count)
  end)
end)
