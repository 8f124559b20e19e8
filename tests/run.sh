#!/bin/sh
# run.sh PROGRAM...: runs test programs, as many at once as there are processors. Quiet about those
# that pass; of one that fails, all that it said.
[ $# -gt 0 ] || exit 0
# shellcheck disable=SC2016 # $0 is the program
printf '%s\n' "$@" | xargs -n 1 -P "$(nproc)" sh -c '
	if timeout 900 "$0" >"$0.log" 2>&1; then
		printf "  ok     %-40s %s\n" "$0" "$(sed -n "s/^\[  PASSED  \] \([0-9]*\).*/\1 passed/p" "$0.log")"
	else
		{ cat "$0.log"; echo "  FAILED $0"; }
		exit 1
	fi'
