--- Frees all that nobody has any more: what a finalizer lets go of, the second round frees.

return function()
  collectgarbage()
  collectgarbage()
end
