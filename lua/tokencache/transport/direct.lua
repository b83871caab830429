--- Shorter ways than `transport:request`, by that function: whoever has replaced it, or wrapped the
--- transport, is not gone round.

---@class tokencache.DirectTransport
---@field prepare fun(transport, headers: table<string, string>): any, tokencache.Error?
---@field post fun(transport, url: string, headers: any, body: string, timeout: number,
---   deadline: number): integer?, any, table?  status, body, headers where it is no success;
---   nil, err. It cannot keep a heartbeat

---@type table<function, tokencache.DirectTransport>
return setmetatable({}, { __mode = "k" })
