#!/bin/sh
# Usage: tests/suite.sh DIRECTORY NAME COMMAND...
# Runs a command that prints TAP, shows what failed, and leaves DIRECTORY/NAME.counts: how many
# passed, failed and were skipped. A suite that dies or runs nothing has failed, unless it says that
# it cannot be run here.
directory=$1 name=$2
shift 2
log=$directory/$name.tap
start=$(date +%s)

timeout "${SUITE_SECONDS:-1200}" "$@" >"$log" 2>&1 </dev/null
status=$?

awk -v status=$status '
  /^ok [0-9]+ *-? *# SKIP/ { skipped++; next }
  /^ok [0-9]+/             { passed++ }
  /^not ok [0-9]+/         { failed++ }
  /^1\.\.0 # SKIP/          { skipped++; whole = 1; next }
  /^1\.\.[0-9]+/           { planned += substr($1, 4); plans++ }
  END {
    ran = passed + failed + skipped
    if (whole)                { }
    else if (!plans)          { print "# no plan: the suite ended early"; failed++ }
    else if (planned != ran)  { print "# planned " planned ", ran " ran; failed++ }
    else if (!passed)         { print "# nothing passed"; if (!failed) failed++ }
    if (status && !failed)    { failed++ }
    if (status)               { print "# exit status " status }
    print passed + 0, failed + 0, skipped + 0 > "/dev/stderr"
  }' "$log" 2>"$directory/$name.counts" >"$directory/$name.remarks"

# of the processes that were waited for, not of servers
times >"$directory/$name.times"
computing=$(awk -F '[ms ]+' 'NR == 2 { print int(60 * ($1 + $3) + $2 + $4) }' \
  "$directory/$name.times")

read -r passed failed skipped <"$directory/$name.counts"
report=$(
  sed -n "s/^1\.\.0 # SKIP/$name:/p" "$log"
  [ "$failed" -eq 0 ] || { grep -v '^ok ' "$log" && echo; cat "$directory/$name.remarks"; }
  printf '%-12s %s passed, %s failed, %s skipped  (%d s, %d s of it computing)\n' \
    "$name" "$passed" "$failed" "$skipped" $(($(date +%s) - start)) "$computing"
)
# in one piece: other suites print at the same time
printf '%s\n' "$report"
