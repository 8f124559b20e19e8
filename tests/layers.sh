#!/bin/sh
# The rules of the house that a script can hold.  usage: layers.sh LEFT ... RIGHT  (in the root)
#   - a folder includes itself and those to its left; bpf/ is seen by capture/ alone
#   - no function of libc that has a safer neighbour, nor one that starts a shell
#   - no clock below cli/: the time is the packets'
#   - no I/O in decode/ and analysis/: tests and fuzzers drive them as the program does (stdio.h is
#     there for snprintf alone)
set -u

files() { find "$1" -name '*.[ch]' -o -name '*.def' | sort; }

# includes FOLDER: its #include lines, as FILE:LINE:TEXT.
includes() { files "$1" | xargs -r grep -nHE '^[[:space:]]*#[[:space:]]*include'; }

# code FOLDER: its lines, as FILE:LINE:TEXT, without comments and literals.
# shellcheck disable=SC2016 # awk's own $0
code() {
	files "$1" | xargs -r awk '
		FNR == 1 { comment = 0 }
		{
			rest = $0
			kept = ""
			while (rest != "") {
				if (comment) {
					end = index(rest, "*/")
					if (!end) break
					rest = substr(rest, end + 2)
					comment = 0
				}
				if (!match(rest, /"([^"\\]|\\.)*"|\047(\\.|[^\047\\])+\047|\/\*|\/\//)) {
					kept = kept rest
					break
				}
				kept = kept substr(rest, 1, RSTART - 1) " "
				start = substr(rest, RSTART, 2)
				rest = substr(rest, RSTART + RLENGTH)
				if (start == "//") break
				comment = (start == "/*")
			}
			print FILENAME ":" FNR ":" kept
		}'
}

# calls NAMES: those lines of standard input that call one of NAMES (joined by |).
calls() { grep -E "(^|[^A-Za-z0-9_.>])($1)[[:space:]]*\("; }

because() { sed "s|^|layers: |; s|\$|    <- $1|"; }

check() {
	allowed='version\.h' # generated, in no folder
	for folder in "$@"; do
		allowed="$allowed|$folder/[^\"]*"
		[ -d "$folder" ] || continue # nothing in it yet: git keeps no empty folders
		own=
		[ "$folder" = capture ] && own='|bpf/[^"]*'
		includes "$folder" | grep '"' | grep -vE "include[[:space:]]*\"($allowed$own)\"" |
			because "$folder/ includes only itself and what stands to its left, by folder/name"
		code "$folder" | calls 'strcpy|strcat|v?sprintf|gets|strtok|rand|alloca|system|popen' |
			because 'banned function'
		[ "$folder" = cli ] ||
			code "$folder" | calls 'clock_gettime|gettimeofday|timespec_get|time|clock' |
			because 'no clock below cli/'
		case $folder in
		decode | analysis)
			includes "$folder" | grep -E '<(unistd|fcntl|dirent|sys/.*|time)\.h>' |
				because "no I/O and no clock in $folder/"
			code "$folder" | calls 'v?f?printf|f?puts|f?putc|putchar|f(open|read|write|gets|close)' |
				because "no I/O in $folder/"
			;;
		esac
	done
}

found=$(check "$@")
[ -z "$found" ] && echo '  ok     layers' && exit
printf '%s\n' "$found"
exit 1
