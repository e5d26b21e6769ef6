# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Running tests: here, or in virtual machines, several in each and several side by side.
# For selftests/run.

# start COMMAND...: its output is to be read from $output, its process is $pid.
start() {
	# shellcheck disable=SC2093
	exec {output}< <(exec "$@" </dev/null 2>&1)
	pid=$!
}

# next_line: sets line; false at the end. What runs is told to end when $deadline
# (of $SECONDS; 0: none) has come, and its last words are waited for.
next_line() {
	local part status
	line=
	while :; do
		status=0
		if ((deadline)); then
			IFS= read -r -t $((deadline > SECONDS ? deadline - SECONDS : 1)) -u "$output" part || status=$?
		else
			IFS= read -r -u "$output" part || status=$?
		fi
		line+=$part
		((status <= 128)) || {
			kill "-$alarm" "$pid" 2>/dev/null || true
			alarm=KILL deadline=$((SECONDS + 60))
			continue
		}
		((status == 0)) || [ -n "$line" ]
		return
	done
}

stopped() {
	local status=0
	exec {output}<&-
	wait "$pid" || status=$?
	pid=
	return "$status"
}

# run_here NAME: a test that is no test of the virtual machine.
run_here() {
	local line status=0
	trap 'kill "$pid"; wait "$pid"; exit 143' TERM
	deadline=0
	set_patience
	begin_test "$1"
	start timeout --kill-after=10 $(($(timeout_of "$1") * patience)) "$top/selftests/$1.sh"
	while next_line; do
		take "$line"
	done
	stopped || status=$?
	finish_test "$status"
}

# The kernel log has room for a test; on the debug kernel each object's origin
# is kept, so that selftests/watch.sh can say whose it is.
machine_options=(--env SELFTEST_SCALE --env SELFTEST_SOAK --env SELFTEST_TREE --append log_buf_len=4M)
[ "$kernel" = stock ] ||
	machine_options+=(--no-kmemleak --append 'slab_debug=U,kmalloc-*,bio*,dm*')

# pack_tree: for selftests/guest, what the tests run again and again, in one file. Sets
# SELFTEST_TREE to that, and to what is in it.
pack_tree() {
	local path paths=()
	for path in selftests tools/bpftrace qemu/scan-log build/cargo/release/{loads,stablepi}; do
		[ ! -e "$path" ] || paths+=("$path")
	done
	tar -cf "$scratch/tree" "${paths[@]}"
	export SELFTEST_TREE="build/${scratch##*/}/tree ${paths[*]}"
}

# set_patience: how many times longer than on an idle machine a test may take: by the load
# of this one. A test that hangs is ended in time where nothing else runs, and one that is
# only kept waiting is not ended.
set_patience() {
	local load processors
	[ -z "${SELFTEST_PATIENCE:-}" ] || {
		patience=$SELFTEST_PATIENCE
		return
	}
	IFS=. read -r load _ </proc/loadavg
	processors=$(nproc)
	patience=$((1 + (load + processors) / processors))
	((patience <= 8)) || patience=8
}

# set_deadline SECONDS: from now, but not after the end of a part.
set_deadline() {
	deadline=$((SECONDS + $1))
	((part_end == 0 || deadline <= part_end)) || deadline=$((part_end > SECONDS ? part_end : SECONDS + 1))
}

# start_machine NAME...: for these tests, one after another.
start_machine() {
	local options=() words=() test seconds sum=300
	# grace: what boot, shutdown and looking for leaks may take, beside a test.
	mapfile -t options < <(options_of "$1")
	set_patience
	grace=$((120 * SELFTEST_SCALE * patience))
	for test; do
		seconds=$(($(timeout_of "$test") * SELFTEST_SCALE * patience))
		sum=$((sum + seconds + grace))
		words+=("$test=$seconds")
	done
	alarm=ALRM
	set_deadline "$grace"
	start "$top/qemu/run" --kernel "$kernel" --timeout $sum "${machine_options[@]}" \
		"${options[@]}" -- "$top/selftests/guest" "${words[@]}"
}

# processor_time PID: seconds that the processors have run for it and for those that it
# has started.
processor_time() {
	local ticks=0
	count_ticks "$1"
	printf '%d\n' $((ticks / 100))
}

count_ticks() {
	local stat='' fields children='' child
	{
		read -r stat <"/proc/$1/stat" || :
		read -r children <"/proc/$1/task/$1/children" || :
	} 2>/dev/null
	[ -n "$stat" ] || return 0
	# The name, in parentheses, may have spaces.
	read -ra fields <<<"${stat##*) }"
	ticks=$((ticks + fields[11] + fields[12] + fields[13] + fields[14]))
	for child in $children; do
		count_ticks "$child"
	done
}

# guest_says WORD...: a line that selftests/guest has put between the tests.
guest_says() {
	case $1 in
	begin)
		[ -z "$name" ] || finish_test "$ended"
		begin_test "$2"
		processors=$(processor_time "$pid")
		show_seen
		set_deadline $(($(timeout_of "$2") * SELFTEST_SCALE * patience + grace))
		;;
	end)
		ended=$3 processors=$(($(processor_time "$pid") - processors))
		set_deadline "$grace"
		;;
	clean) record "it leaves nothing behind" passed 0 ;;
	unclean)
		bad=$((bad + 1))
		record "it leaves something behind" failed 0
		;;
	esac
}

show_seen() {
	((${#seen[@]} == 0)) || printf '%s\n' "${seen[@]}" >&"$log_fd"
	seen=()
}

# take_or_keep LINE: what comes before the first test may explain why none does.
take_or_keep() {
	if [ -n "$name" ]; then
		take "$1"
	else
		seen+=("$1")
	fi
}

# run_machine NAME...: until each has been begun, in as many machines as it takes.
run_machine() {
	local line words status seen
	trap 'kill "$pid"; wait "$pid"; exit 143' TERM
	name=
	while (($#)); do
		((part_last == 0 || SECONDS < part_last)) || {
			leave_out "$@"
			return
		}
		start_machine "$@"
		seen=() status=0
		while next_line; do
			# A test may have ended in the middle of a line.
			if [ "${line%%# guest: *}" ]; then
				take_or_keep "${line%%# guest: *}"
			fi
			if [[ $line == *'# guest: '* ]]; then
				read -ra words <<<"${line##*# guest: }"
				guest_says "${words[@]}"
				[ "${words[0]}" != begin ] || shift
			fi
		done
		stopped || status=$?
		if [ -z "$name" ]; then
			begin_test "$1"
			show_seen
			shift
		fi
		# The machine's own end says more than the test's.
		((status)) || status=${ended:-lost}
		finish_test "$status"
	done
}

# What runs side by side ------------------------------------------------------

# plan_jobs TEST...: sets queue to lines of tests: those of a line share a machine, one after
# another, or a line is one test that runs here. Tests share with those that want the same
# options of qemu/run. On the debug kernel four do, so that a leak has a short list of
# suspects; and there is to be something to do for all processors until the end. In a part
# they share less, so that it can end in time.
plan_jobs() {
	local test key seconds limit=8 longest=240
	local -A line=() number=() sum=()
	[ "$kernel" = stock ] || limit=4 longest=600
	[ -z "$part" ] || longest=300
	queue=()
	for test in "$@"; do
		time_of "$test"
		if [[ $test != vm/* ]] || [ -n "$(header "$test" machine)" ]; then
			queue+=("$seconds $test")
			continue
		fi
		key=options:$(options_of "$test" | tr '\n' ' ')
		if ((${number[$key]:-0} == limit || ${sum[$key]:-0} + seconds > longest)) && [ -n "${line[$key]:-}" ]; then
			queue+=("${sum[$key]}${line[$key]}")
			line[$key]='' number[$key]=0 sum[$key]=0
		fi
		line[$key]+=" $test"
		number[$key]=$((${number[$key]:-0} + 1))
		sum[$key]=$((${sum[$key]:-0} + seconds))
	done
	for key in "${!line[@]}"; do
		[ -z "${line[$key]}" ] || queue+=("${sum[$key]}${line[$key]}")
	done
	# What takes longest comes first.
	mapfile -t queue < <(printf '%s\n' "${queue[@]}" | sort -srn -k 1,1 | cut -d ' ' -f 2-)
}

# run_queue: $jobs of its lines side by side.
run_queue() {
	local line running=0
	for line in "${queue[@]}"; do
		if ((running == jobs)); then
			wait -n || true
			running=$((running - 1))
		fi
		if [[ $line == vm/* ]]; then
			# shellcheck disable=SC2086
			run_machine $line &
		else
			run_here "$line" &
		fi
		running=$((running + 1))
	done
	while ((running)); do
		wait -n || true
		running=$((running - 1))
	done
}
