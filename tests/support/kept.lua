--- What outlives a spec's file. Busted forgets the modules that a file has loaded when the file is
--- over, but for this one, which its helper has loaded before: whatever is put in here stays.

return {}
