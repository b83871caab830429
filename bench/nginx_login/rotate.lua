--- For wrk: requests that carry the Cookie headers of a file, a line each, in turn.
---
---     wrk URL -s bench/nginx_login/rotate.lua -- FILE

local requests, last = {}, 0

function init(arguments)
  for cookies in io.lines(arguments[1]) do
    requests[#requests + 1] = wrk.format(nil, nil, { Cookie = cookies })
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end
