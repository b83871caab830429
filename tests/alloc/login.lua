-- The modules a login needs, while allocations fail; see alloc.c.

-- luacheck: globals with_memory

local judge = dofile "tests/alloc/judge.lua"
local check, expect = judge.check, judge.expect

local STATE = "st-8Zk2"

--- Asks as a browser does, from another process, and waits for an answer.
local function ask(port)
  os.execute(([[bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d && printf "GET /callback?code=1&state=%s ]]
    .. [[HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" >&3 && { read -t 5 -u 3 & }' ]]
    .. [[>/dev/null 2>&1]]):format(port, STATE, port))
end

--- A connection that there was no memory for is closed; the listener stays and hears the next one.
local function listen()
  local listener = check(require("tokencache._redirect").open {
    host = "127.0.0.1", port = 0, path = "/callback", state = STATE,
  })
  check(listener:send_to("/login/1", "https://as.example/authorize?state=" .. STATE))
  for _ = 1, 3 do
    with_memory(ask, listener:port())
    for _ = 1, 5 do
      local query, err = listener:poll(0.002)
      if query or err then
        listener:close()
        return expect("code=1&state=" .. STATE, query, err)
      end
    end
  end
  listener:close()
  error("not enough memory to hear it", 0)
end

local function browse()
  local browser, err = require("tokencache._browser").open("http://127.0.0.1/")
  if not browser then
    expect("no browser could be started; open the URL by hand, or name one in BROWSER", err.message)
    return
  end
  browser:failed()
  browser:close()
end

local function use()
  listen()
  browse()
end

use() -- what was not loaded for want of memory Lua 5.1 does not load again

return use, use
