--- What a program names for all flows inside nginx: the table `tokencache.nginx`.

---@class tokencache.NginxSettings
---@field owed? table  ngx.shared.NAME: where workers tell each other of tokens that are not saved
return {}
