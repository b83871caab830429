--- For wrk: requests that carry the Cookie headers of a file, a line each, in turn. Tells how many
--- answers of each status there were.
---
---     wrk URL -s tests/support/rotate_cookies.lua -- FILE

local requests, last = {}, 0
local threads = {}

statuses = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init(arguments)
  for cookies in io.lines(arguments[1]) do
    wrk.headers.Cookie = cookies
    requests[#requests + 1] = wrk.format()
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

function done()
  for status, count in pairs(threads[1]:get("statuses")) do
    print("status " .. status .. ": " .. count)
  end
end
