std = "min" -- what Lua 5.1, 5.3, 5.4 and LuaJIT have in common
read_globals = { math = { fields = { "tointeger" } } }
max_line_length = 100
include_files = {
  "lua/**/*.lua", "tests/**/*.lua", "examples/**/*.lua", "bench/**/*.lua", "rockspec/*.rockspec",
  ".busted", ".luacheckrc",
}
exclude_files = { "tests/servers/node_modules", "tests/vendor" }

files["tests/spec"] = { std = "+busted" }
files["tests/nginx"] = { std = "+busted" }
files["tests/nginx/inside"] = { std = "+ngx_lua" }
files["examples/nginx"] = { std = "+ngx_lua" }
files["tests/support/cosocket_http.lua"] = { std = "+ngx_lua" }
files["tests/support/resource_server.lua"] = { std = "+ngx_lua" }
files["tests/support/resty_http.lua"] = { std = "+ngx_lua" }
files["lua/tokencache/testing"] = { std = "+busted" }
files["tests/support/rotate_cookies.lua"] = {
  globals = { "wrk", "setup", "init", "request", "response", "done", "statuses" },
}
files["rockspec"] = { std = "rockspec" }
files[".luacheckrc"] = { std = "luacheckrc" }
