--- A store as a user would write it, over a table.

return function()
  return {
    entries = {},
    ttls = {},
    get = function(self, key)
      return self.entries[key]
    end,
    set = function(self, key, bytes, ttl)
      self.entries[key], self.ttls[key] = bytes, ttl
    end,
    delete = function(self, key)
      self.entries[key] = nil
    end,
  }
end
