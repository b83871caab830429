--- For the tests of those who write cache handlers.

return {
  contract = require "tokencache.testing.contract",
}
