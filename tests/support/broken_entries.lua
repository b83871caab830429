--- Ways to get wrong what a handler knows beyond its token, each with the test of the contract
--- suite that must notice: { methods, the test[, a change to the handler] }.

local classes = require "support.handler_classes"
local compare = require "tokencache.testing.compare"

local Sound, Locking, Replacing, Marking =
  classes.Sound, classes.Locking, classes.Replacing, classes.Marking
local THE_ONLY, holds = classes.THE_ONLY, classes.holds

local REPLACES_ENTRY = "replaces what was read and nothing else, if it has replace_cached_token"
local GONE = "puts back nothing that was removed, if it has replace_cached_token"
local REMOVES_ENTRY = "removes only the entry that was read, if it has entries"
local UNDER_LOCK = "replaces under a lock, unless another holds it, if it has both"
local CAN_SAVE = "shows that it can save, and changes nothing by it, if it has can_save"
local ACCOUNT = "tells its account from others, if it has account_id"
local MARK = "keeps a mark beside the token, if it has marks"

return {
  ["returns no entry"] = {
    { replace_cached_token = Replacing.replace_cached_token,
      get_cached_token = Sound.get_cached_token }, REPLACES_ENTRY },
  ["replaces whatever is there"] = {
    { replace_cached_token = function(self, _, token_info)
      Sound.save_token_to_cache(self, token_info)
      return true
    end }, REPLACES_ENTRY },
  ["takes no entry for any"] = {
    { replace_cached_token = function(self, entry, token_info)
      return Replacing.replace_cached_token(self, entry or self.rows[self.key], token_info)
    end }, REPLACES_ENTRY },
  ["never replaces"] = {
    { replace_cached_token = function() return false end }, REPLACES_ENTRY },
  ["only says that it replaces"] = {
    { replace_cached_token = function(self, entry)
      return self.rows[self.key] == entry
    end }, REPLACES_ENTRY },
  ["refuses by an error"] = {
    { replace_cached_token = function(self, ...)
      local replaced = Replacing.replace_cached_token(self, ...)
      if not replaced then
        return nil, "something else is there"
      end
      return true
    end }, REPLACES_ENTRY },
  ["replaces though it refuses"] = {
    { replace_cached_token = function(self, entry, token_info)
      local replaced = self.rows[self.key] == entry
      Sound.save_token_to_cache(self, token_info)
      return replaced
    end }, REPLACES_ENTRY },
  ["returns another entry where it peeks"] = {
    { replace_cached_token = Replacing.replace_cached_token,
      peek_cached_token = function(self)
        return self:get_cached_token(), nil, "an entry"
      end }, REPLACES_ENTRY },
  ["puts back what was removed"] = {
    { replace_cached_token = function(self, entry, token_info)
      return Replacing.replace_cached_token(self, self.rows[self.key] and entry, token_info)
    end }, GONE },
  ["does not say that it is gone"] = {
    { replace_cached_token = function(self, ...)
      return (Replacing.replace_cached_token(self, ...))
    end }, GONE },
  ["saves nothing anew"] = {
    { replace_cached_token = function(self, entry, token_info)
      if entry == nil then
        return false
      end
      return Replacing.replace_cached_token(self, entry, token_info)
    end }, GONE },
  ["removes whatever is there"] = {
    { replace_cached_token = Replacing.replace_cached_token,
      remove_cached_token = Sound.remove_cached_token }, REMOVES_ENTRY },
  ["never removes what was read"] = {
    { replace_cached_token = Replacing.replace_cached_token,
      remove_cached_token = function(self, entry)
        if entry == nil then
          self.rows[self.key] = nil
        end
      end }, REMOVES_ENTRY },
  ["fails to remove where another entry is there"] = {
    { replace_cached_token = Replacing.replace_cached_token,
      remove_cached_token = function(self, entry)
        if entry ~= nil and self.rows[self.key] ~= entry then
          return false
        end
        self.rows[self.key] = nil
      end }, REMOVES_ENTRY },
  ["replaces under the lock of another"] = {
    { try_lock = Locking.try_lock, replace_cached_token = function(self, entry, token_info)
      return Replacing.replace_cached_token(self, entry, token_info)
    end }, UNDER_LOCK },
  ["insists on a lock that has ended"] = {
    { try_lock = Locking.try_lock,
      replace_cached_token = function(self, entry, token_info, _, handle)
        if handle and not holds(self, handle) then
          return false
        end
        return Replacing.replace_cached_token(self, entry, token_info)
      end }, UNDER_LOCK },

  ["cannot say that it can save"] = {
    { can_save = function() end }, CAN_SAVE },
  ["never can save"] = {
    { can_save = function() return false end }, CAN_SAVE },
  ["always can save"] = {
    { can_save = function(_, entry) return entry end }, CAN_SAVE },
  ["keeps the entry that was padded to itself"] = {
    { can_save = function(self, entry)
      return Replacing.can_save(self, entry) and entry
    end }, CAN_SAVE },
  ["spoils the token to see whether it can save"] = {
    { can_save = function(self, entry)
      local kept = Replacing.can_save(self, entry)
      if kept then
        kept.access_token = kept.access_token .. " "
      end
      return kept
    end }, CAN_SAVE },
  ["undoes what another saved, to see whether it can save"] = {
    { can_save = function(self, entry)
      local is_same = self.rows[self.key] == entry
      self.rows[self.key] = compare.copy(entry)
      return is_same and self.rows[self.key]
    end }, CAN_SAVE },

  ["has one account for all"] = {
    { account_id = function() return "broken_handlers", "the only account" end }, ACCOUNT },
  ["has an account for each call"] = {
    { account_id = function(self) return {}, self.key end }, ACCOUNT },
  ["has an account without a key"] = {
    { account_id = function() return "broken_handlers" end }, ACCOUNT },

  ["has no way to set a mark"] = {
    { get_mark = Marking.get_mark }, "has both get_mark and set_mark, or neither",
    function(self)
      self.set_mark = nil
      return self
    end },
  ["keeps its mark in place of the token"] = {
    { get_mark = function(self) return self.rows[self.key] and self.rows[self.key].access_token end,
      set_mark = function(self, text)
        self.rows[self.key] = text and { access_token = text }
      end }, MARK },
  ["has one mark for all"] = {
    { get_mark = function() return Marking.get_mark(THE_ONLY) end,
      set_mark = function(_, ...) return Marking.set_mark(THE_ONLY, ...) end }, MARK },
  ["cuts a mark at the end of its line"] = {
    { set_mark = function(self, text, ttl)
      return Marking.set_mark(self, text and text:match("^[^\n]*"), ttl)
    end }, MARK },
  ["removes the mark with the token"] = {
    { set_mark = Marking.set_mark, remove_cached_token = function(self)
      Sound.remove_cached_token(self)
      Marking.set_mark(self, nil)
    end }, MARK },
  ["takes no mark away"] = {
    { set_mark = function(self, text, ttl)
      return text and Marking.set_mark(self, text, ttl)
    end }, MARK },
  ["never ends a mark"] = {
    { set_mark = function(self, text) return Marking.set_mark(self, text, 3600) end },
    "ends a mark after its time to live, if it has marks" },

  ["takes its own word for what is there"] = {
    { get_cached_token = function(self)
      local info, _, row = Replacing.get_cached_token(self)
      self.seen = row
      return info, nil, row
    end,
    replace_cached_token = function(self, entry, token_info)
      if self.seen ~= entry then
        return false, self.seen == nil and "gone" or nil
      end
      self.seen = compare.copy(token_info)
      self.rows[self.key] = self.seen
      return true
    end },
    "leaves what another handler on the same storage saved, if it has replace_cached_token" },
  ["keeps its mark to itself"] = {
    { get_mark = function(self) return self.mark end,
      set_mark = function(self, text) self.mark = text end },
    "sees the mark of another handler on the same storage, if it has marks" },
}
