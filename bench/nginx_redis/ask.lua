--- A contestant that lives in nginx: ask.lua PORT PATH asks that location for each turn, and
--- answers with the seconds that nginx says the work took.

local http = require "socket.http"

io.stdout:setvbuf("line")
for line in io.lines() do
  local body, status = http.request(("http://127.0.0.1:%s%s%stimes=%s"):format(arg[1], arg[2],
    arg[2]:find("?", 1, true) and "&" or "?", line))
  assert(status == 200, body)
  io.write(body)
end
