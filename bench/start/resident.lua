--- Runs the script named by the argument and prints the most kilobytes that were resident.

dofile(arg[1])
for line in io.lines("/proc/self/status") do
  local kilobytes = line:match("^VmHWM:%s*(%d+) kB")
  if kilobytes then
    print(kilobytes)
  end
end
