--- Reads and writes cache files.

return require("tokencache._core").file
