# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The part of the tests that continuous integration runs on the debug kernel, where all
# of them take too long. For selftests/run --part.
#
# 1. The tests are in a ring, in the order of their names, which is cut into $parts pieces
#    that take about as long as each other. A run has the turn of one piece, and runs all of
#    it: $parts runs in a row run everything. What a run had no time for after all, on a
#    machine that is busy, comes with the next one.
# 2. Before these come the tests that the change touches, those first of which most files
#    are touched, as long as there is time for both in the budget.
#
# A test covers what its header names after "covers:", files or folders, or rust and include
# where it names none; and itself, and what it sources and starts. What is touched is what
# differs between the work tree and the commit that the branch left main at, or the one
# before HEAD if HEAD is on main.
#
# Whose turn it is is kept in the cache, and goes on with each run. Where none is kept, the
# number of commits decides. CI_TURN says it instead.

# Minutes, on two processors: the one place where the time is.
budget=${CI_BUDGET:-8}
parts=5

# On a machine that is busy, or where a test hangs, a part takes longer. No machine is
# started when half as long again has passed, and what runs a quarter of an hour later is
# ended and has failed. In $SECONDS of selftests/run; 0 where all is run.
part_last=0 part_end=0
limit_part() {
	part_last=$((SECONDS + budget * 90)) part_end=$((SECONDS + budget * 90 + 900))
}

# A machine of its own costs what boot and shutdown take, seconds of processors; those that
# share one cost a part of that.
boot=60 boot_shared=15

# cost_of TEST: sets cost.
cost_of() {
	local seconds
	time_of "$1"
	cost=$((seconds + boot_shared))
	[ -z "$(options_of "$1")$(header "$1" machine)" ] || cost=$((seconds + boot))
}

# What the change touches -----------------------------------------------------

# touched_files: one a line.
touched_files() {
	local base=${CI_BASE:-} branch
	for branch in origin/main main; do
		[ -z "$base" ] || break
		base=$(git merge-base HEAD "$branch" 2>/dev/null) || base=
		[ "$base" != "$(git rev-parse HEAD)" ] || base=
	done
	[ -n "$base" ] || base=$(git rev-parse --verify --quiet HEAD~1) || base=HEAD
	git diff --name-only "$base" 2>/dev/null && git ls-files --others --exclude-standard
}

# covered_by TEST: what it shows something of, one file or folder a line.
covered_by() {
	local file=$top/selftests/$1.sh covers
	covers=$(header "$1" covers)
	tr ' ' '\n' <<<"${covers:-rust include}"
	printf '%s\n' "selftests/$1.sh" selftests/ktap.sh selftests/vm/lib.sh selftests/vm/lib/{disk,dm,load,log,trace}.sh
	# Names in the script, of files beside it.
	grep -oE '(lib/)?[a-z0-9-]+\.(py|sh|toml)' "$file" | sort -u | sed 's,^,selftests/vm/,'
}

# touches TEST: sets hits to how many of the touched files it covers, and hit to one.
touches() {
	local path file
	hits=0 hit=''
	while IFS= read -r path; do
		for file in "${touched[@]}"; do
			[[ $file == "$path" || $file == "$path"/* ]] || continue
			hits=$((hits + 1))
			hit=$file
		done
	done < <(covered_by "$1" | sort -u)
}

# Whose turn it is ------------------------------------------------------------

kept=${XDG_CACHE_HOME:-$HOME/.cache}/stable-pages
turn_file=$kept/turn left_file=$kept/left

# this_turn: sets turn, from 0 on, and turn_from.
this_turn() {
	local last
	if [ -n "${CI_TURN:-}" ]; then
		turn=$CI_TURN turn_from="CI_TURN"
	elif last=$(cat "$turn_file" 2>/dev/null) && [[ $last =~ ^[0-9]+$ ]]; then
		turn=$((last + 1)) turn_from="the one after the last"
	else
		turn=$(git rev-list --count HEAD 2>/dev/null) || turn=0
		turn_from="of $turn commits"
	fi
	turn=$((turn % parts))
}

# end_turn [TEST]...: the next run has the next one, and these, for which there was no time.
end_turn() {
	[ -z "${CI_TURN:-}" ] || return 0
	mkdir -p "$kept"
	printf '%s\n' "$@" >"$left_file.$$"
	mv "$left_file.$$" "$left_file"
	printf '%d\n' "$turn" >"$turn_file.$$"
	mv "$turn_file.$$" "$turn_file"
}

# The choice ------------------------------------------------------------------

# choose_part TEST...: sets tests to those that are to be run, and says why each is or not.
choose_part() {
	local cost total=0 spent=0 test hits hit piece limit=$((budget * 120)) line
	local -A cost_of_test=() piece_of=() reason=() taken=()
	local touched=() order=() left=()
	[ -n "${CI_TURN:-}" ] || mapfile -t left < <(cat "$left_file" 2>/dev/null)
	mapfile -t touched < <(touched_files | sort -u)
	this_turn
	for test; do
		cost_of "$test"
		cost_of_test[$test]=$cost
		total=$((total + cost))
	done
	spent=0
	while IFS= read -r test; do
		# By its middle, so that a piece has neither all of the long ones nor none.
		piece=$(((spent + cost_of_test[$test] / 2) * parts / total))
		piece_of[$test]=$piece
		spent=$((spent + cost_of_test[$test]))
	done < <(printf '%s\n' "$@" | LC_ALL=C sort)
	spent=0
	for test; do
		if ((piece_of[$test] == turn)); then
			reason[$test]="its turn"
		elif [[ " ${left[*]} " == *" $test "* ]]; then
			reason[$test]="left out by the last"
		else
			continue
		fi
		taken[$test]=1
		spent=$((spent + cost_of_test[$test]))
	done
	for test; do
		touches "$test"
		((hits == 0)) || order+=("$hits $test $hit")
	done
	while read -r hits test hit; do
		[ -n "$test" ] || continue
		line="touched: $hit"
		((hits == 1)) || line+=" and $((hits - 1)) more"
		if [ -n "${taken[$test]:-}" ]; then
			reason[$test]+=", $line"
		elif ((spent + cost_of_test[$test] <= limit)); then
			taken[$test]=1 reason[$test]=$line
			spent=$((spent + cost_of_test[$test]))
		else
			reason[$test]="no time left, although $line"
		fi
	done < <(printf '%s\n' "${order[@]}" | LC_ALL=C sort -k 1,1nr -k 2,2)
	tests=()
	printf 'part: turn %d of %d (%s), %d files touched; about %d of %d minutes, in all %d\n' $((turn + 1)) "$parts" \
		"$turn_from" "${#touched[@]}" $(((spent + 119) / 120)) "$budget" $(((total + 119) / 120))
	for test; do
		[ -z "${taken[$test]:-}" ] || tests+=("$test")
		[ -n "${reason[$test]:-}" ] || reason[$test]="comes with turn $((piece_of[$test] + 1))"
		printf 'part: %s %-22s %4d s  %s\n' "$([ -n "${taken[$test]:-}" ] && echo run || echo '   ')" \
			"$test" "${cost_of_test[$test]}" "${reason[$test]}"
	done
}
