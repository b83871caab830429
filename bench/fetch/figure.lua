--- One client credentials fetch on a kept connection, against a bare POST to the same server: a
--- real authorization server, and one that answers at once.

local contest = require "bench.contest"
local fake_endpoint = require "support.fake_endpoint"
local lua = require "bench.lua_command"
local oidc_provider = require "support.oidc_provider"
local report = require "bench.report"

--- The servers' times have long tails, so turns are of one request, and there are more of them.
local function measure(what, rounds, arguments, aim, between)
  local ours = contest.enter("lua5.4", lua.run("lua5.4", "bench/fetch/token.lua", arguments))
  local raw = contest.enter("libcurl", "build/bench/fetch/raw " .. arguments)
  contest.run({ ours, raw }, { rounds = 10 * rounds, seconds = 0, between = between })
  report.ratio(what, ours, raw, aim)
end

local function from_oidc_provider(rounds)
  local server = oidc_provider.start()
  local client = server.clients.basic
  measure("fetch, oidc-provider", rounds,
    table.concat({ server.token_url, client.client_id, client.client_secret }, " "),
    { most = 1.1 })
  server:stop()
end

local function from_fake_endpoint(rounds)
  local server, requests = fake_endpoint.start(), 0
  measure("  from the fake endpoint", rounds, server:url("token") .. " client secret", nil,
    function()
      requests = requests + 1
      if requests % 100 == 0 then
        server:clear() -- it remembers every request
      end
    end)
  server:stop()
end

return function(rounds)
  from_oidc_provider(rounds)
  from_fake_endpoint(rounds)
end
