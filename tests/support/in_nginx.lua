--- For the Lua blocks of a test's nginx: what a spec would say, and busted's own words.
---
---     local flow = in_nginx.new_flow("$URL", cache)
---     in_nginx.answer(flow:get_access_token())
---                                          -- a line for the spec: the result, or KIND: MESSAGE
---     in_nginx.equal(wanted, got)              -- fails the test of busted's that runs
---     in_nginx.run(function() contract(make_handler) end)    -- as busted would, in TAP

local merged = require "support.merged"
local tokencache = require "tokencache"

local in_nginx = {}

--- A flow that gets its tokens from an endpoint on the loopback.
---@param token_url string
---@param cache table|userdata
---@param options? table  besides
function in_nginx.new_flow(token_url, cache, options)
  return tokencache.flow.client_credentials(merged({
    provider = { token_url = token_url }, client_id = "a", client_secret = "b", proxy = "",
    cache = cache,
  }, options))
end

---@param result any
---@param err? any
function in_nginx.answer(result, err)
  if result == nil and err ~= nil then
    result = (type(err) == "table" and err.kind .. ": " or "") .. tostring(err)
  end
  ngx.say(tostring(result)) -- luacheck: ignore 113
end

---@param wanted any
---@param got any
function in_nginx.equal(wanted, got)
  if wanted ~= got then
    package.loaded.busted.fail(("%s expected, got %s"):format(tostring(wanted), tostring(got)), 2)
  end
end

local function declare(suite)
  local tests, after = {}, {}
  package.loaded.busted = {
    describe = function(_, body) body() end,
    it = function(name, body) tests[#tests + 1] = { name = name, body = body } end,
    after_each = function(body) after[#after + 1] = body end,
    fail = function(message) error(message, 0) end,
  }
  suite()
  package.loaded.busted = nil
  return tests, after
end

--- Runs the suite and prints it as TAP. LuaJIT can yield across pcall.
---@param suite fun()  declares tests with `require "busted"`
function in_nginx.run(suite)
  local tests, after = declare(suite)
  local busted = { fail = function(message) error(message, 0) end }
  for i, test in ipairs(tests) do
    package.loaded.busted = busted
    local ok, problem = pcall(test.body)
    for _, body in ipairs(after) do
      body()
    end
    in_nginx.answer(ok and ("ok %d - %s"):format(i, test.name)
      or ("not ok %d - %s: %s"):format(i, test.name, problem))
  end
  in_nginx.answer("1.." .. #tests)
end

return in_nginx
