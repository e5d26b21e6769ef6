# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the output of a test means, and what is made of all results. For selftests/run.

now() {
	printf '%s' "${EPOCHREALTIME/[.,]/}"
}

# record CASE passed|failed|skipped MICROSECONDS [REASON]: of the test $name.
record() {
	printf '%s\t%s\t%d\t%s\n' "$2" "${1//$'\t'/ }" "$3" "${4:-}" >>"$outcome"
}

# begin_test NAME: what `take` gets from now on is its output.
begin_test() {
	name=$1 plan='' cases=0 bad=0 ended='' begin=$SECONDS last=$(now) processors=0
	outcome=$scratch/${name//\//-}
	log=$results/log/${name//\//-}$suffix.log
	: >"$outcome"
	exec {log_fd}>"$log"
}

result='^(ok|not ok)( [0-9]+)?( -)?( ([^#]*))?(# (SKIP|skip) *(.*))?$'

# What the shell says of a command that it then leaves out: a case that is not there
# would not be missed, since the script counts those that are.
fault='^[^#]*: line [0-9]+: .*(syntax error|command not found|unbound variable|bad substitution|division by 0)'

# take LINE: of the output of the test $name.
take() {
	local line=$1 time case
	printf '%s\n' "$line" >&"$log_fd"
	if [[ $line =~ ^1\.\.([0-9]+)( *# *SKIP *(.*))?$ ]]; then
		plan=${BASH_REMATCH[1]}
		if [ "$plan" = 0 ]; then
			record all skipped 0 "${BASH_REMATCH[3]}"
		fi
	elif [[ $line == 'Bail out!'* ]]; then
		bad=$((bad + 1))
		record "$line" failed 0
	elif [[ $line =~ $fault ]]; then
		bad=$((bad + 1))
		record "the shell complains: $line" failed 0
	elif [[ $line =~ $result ]]; then
		time=$(now)
		cases=$((cases + 1))
		case=${BASH_REMATCH[5]%"${BASH_REMATCH[5]##*[! ]}"}
		if [ -n "${BASH_REMATCH[7]}" ]; then
			record "$case" skipped $((time - last)) "${BASH_REMATCH[8]}"
		elif [ "${BASH_REMATCH[1]}" = ok ]; then
			record "$case" passed $((time - last))
		else
			bad=$((bad + 1))
			record "$case" failed $((time - last))
		fi
		last=$time
	fi
}

# judge STATUS: what the cases alone do not tell.
judge() {
	local why=''
	case $1 in
	0) ;;
	1) ((bad)) || why="ended with status 1" ;;
	86) why="the kernel complained or died" ;;
	124) why="not ended in time" ;;
	125) why="the virtual machine did not start" ;;
	lost) why="the virtual machine ended before it" ;;
	*) why="ended with status $1" ;;
	esac
	[ -z "$why" ] || {
		bad=$((bad + 1))
		record "$why" failed 0
	}
	if [ -z "$plan" ]; then
		bad=$((bad + 1))
		record "there is no plan" failed 0
	elif ((cases != plan)); then
		bad=$((bad + 1))
		record "$cases cases instead of $plan" failed 0
	fi
}

# plan_first: a test knows its plan at the end; readers of KTAP want it at the beginning.
plan_first() {
	[ -z "$plan" ] || sed -i -e "/^1\\.\\.$plan\$/d" -e "0,/^KTAP version 1\$/s//&\\n1..$plan/" "$log"
}

count() {
	awk -F '\t' -v result="$1" '$1 == result { n++ } END { print n + 0 }' "$outcome"
}

# finish_test STATUS: what is printed is printed at once, since another test may
# come to its end at the same time.
finish_test() {
	local passed skipped lock
	exec {log_fd}>&-
	judge "$1"
	plan_first
	passed=$(count passed) skipped=$(count skipped)
	exec {lock}<"$scratch"
	flock "$lock"
	printf '%s\t%d\t%d\t%d\t%d\t%d\n' "$name" $((SECONDS - begin)) "$processors" \
		"$passed" "$bad" "$skipped" >>"$scratch/tests"
	printf '%-20s %4d passed' "$name" "$passed"
	((bad == 0)) || printf ', %d failed' "$bad"
	((skipped == 0)) || printf ', %d skipped' "$skipped"
	printf '  (%d s)\n' $((SECONDS - begin))
	if ((bad)); then
		sed 's/^/    /' "$log"
		printf '  %s is in %s\n' "$name" "${log#"$top/"}"
	fi
	exec {lock}<&-
	name=
}

# leave_out TEST...: they are not begun any more.
leave_out() {
	for name; do
		outcome=$scratch/${name//\//-}
		record all skipped 0 "there was no time left for it in this part"
		printf '%s\n' "$name" >>"$scratch/left"
	done
	name=
}

# All of them -----------------------------------------------------------------

# all_results: TEST RESULT CASE MICROSECONDS REASON, separated by tabs.
all_results() {
	local test file
	for test in "${tests[@]}"; do
		file=$scratch/${test//\//-}
		if [ -s "$file" ]; then
			sed "s,^,$test\t," "$file"
		else
			printf '%s\tfailed\tit was not run\t0\t\n' "$test"
		fi
	done
}

write_json() {
	LC_ALL=C awk -F '\t' '
	function string(s) {
		gsub(/[\001-\037]/, "", s)
		gsub(/\\/, "\\\\", s)
		gsub(/"/, "\\\"", s)
		return "\"" s "\""
	}
	BEGIN { print "[" }
	{
		printf "%s  {\"test\": %s, \"case\": %s, \"result\": \"%s\", \"seconds\": %.3f}", \
			(NR > 1 ? ",\n" : ""), string($1), string($3), $2, $4 / 1000000
	}
	END { print "\n]" }' "$scratch/all" >"$results/$1.new"
	mv "$results/$1.new" "$results/$1"
}

summary() {
	awk -F '\t' '
	{ n[$2]++ }
	$2 == "skipped" { print "skipped: " $1 ": " $3 ": " ($5 ? $5 : "no reason given") }
	$2 == "failed" { failed[NR] = $1 ": " $3 }
	END {
		for (i = 1; i <= NR; i++)
			if (i in failed)
				print "failed: " failed[i]
		printf "%d passed, %d failed", n["passed"], n["failed"]
		if (n["skipped"])
			printf ", %d skipped", n["skipped"]
		print ""
		exit n["failed"] || !n["passed"]
	}' "$scratch/all"
}

# write_table FILE: for tests: a line of the whole, then each TEST with the SECONDS that it
# took, those that the processors ran for it, and the cases PASSED, FAILED and SKIPPED.
write_table() {
	{
		printf '%s\t%d\t%d' "$kernel" "$SECONDS" $((SECONDS * $(nproc)))
		awk -F '\t' '{ n[$2]++ } END { printf "\t%d\t%d\t%d\n", n["passed"], n["failed"], n["skipped"] }' "$scratch/all"
		sort "$scratch/tests"
	} >"$results/$1.new"
	mv "$results/$1.new" "$results/$1"
}
