#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: what selftests/run makes of tests and machines that do well and badly. A
# script stands in for qemu/run, so that no machine is booted.
#
# shellcheck disable=SC2016

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{build,qemu,selftests/{check,host,vm}}
cp -r "$top"/selftests/{run,report,lib} "$work/selftests"

# A machine runs each test as selftests/guest does, until one has failed.
cat >"$work/qemu/run" <<'END'
#!/bin/bash
trap 'kill $! 2>/dev/null; echo "qemu/run: error: not ended"; exit 124' ALRM
trap 'kill $!; exit 143' TERM
printf '%s\n' "$*" >>"${0%/qemu/run}/machines"
until [[ $1 == */selftests/guest ]]; do
	shift
done
for item in "${@:2}"; do
	printf '# guest: begin %s\n' "${item%=*}"
	status=0
	# In the background, so that a signal is not kept waiting.
	"${0%/qemu/run}/selftests/${item%=*}.sh" &
	wait $! || status=$?
	case $status in
	86) echo "the kernel log"; exit 86 ;;
	99) sleep 60 & wait ;;
	87) echo '# guest: unclean' ;;
	0) echo '# guest: clean' ;;
	esac
	printf '# guest: end %s %d\n' "${item%=*}" $((status == 87 ? 0 : status))
	((status == 0)) || break
done
END
chmod +x "$work/qemu/run"

# script NAME COMMANDS: a test of one case. The first line can be more of its header.
script() {
	printf '#!/bin/bash\n%s\n' "$2" >"$work/selftests/$1.sh"
	chmod +x "$work/selftests/$1.sh"
}

for name in format unsafe layers lint crates docs; do
	script check/$name 'echo 1..1; echo ok 1 it passes'
done
script host/good 'echo 1..2; echo ok 1 - one; echo ok 2 two \# SKIP no disk'
script host/slow $'# timeout: 1\necho 1..1; sleep 60'
script vm/a 'echo 1..1; echo "scale $SELFTEST_SCALE"; echo ok 1 a case'
script vm/bad 'echo 1..2; echo ok 1 one; echo "not ok 2 two \"quoted\""; exit 1'
script vm/crash 'echo 1..2; echo ok 1 one; exit 86'
script vm/d 'echo 1..1; echo ok 1 a case'
script vm/disk $'# device: nvme,id=c\n# append: a b\necho 1..1; echo ok 1 a case'
script vm/left 'echo 1..1; echo ok 1 a case; exit 87'
script vm/noplan 'echo ok 1 a case'
script vm/typo 'okk; echo ok 1 a case; echo 1..1'
script vm/own $'# machine: own\necho 1..1; echo ok 1 a case'
script vm/debug $'# requires: debug kernel\necho 1..1; echo ok 1 a case'

for name in a bad crash d disk left noplan own typo; do
	echo "vm/$name 10 40"
done >"$work/selftests/times"

# The one that runs this has set it.
unset SELFTEST_SCALE
export SELFTEST_PATIENCE=1

# run ARGUMENT...: what it prints is in $work/out then, its status in $status.
run() {
	status=0
	rm -f "$work/machines"
	"$work/selftests/run" "$@" >"$work/out" 2>&1 || status=$?
}

says() {
	grep -qE -e "$1" "$work/out" && return
	cat "$work/out"
	return 1
}

machines() {
	sed -E 's/.*selftests\/guest //; s/=[0-9]+//g' "$work/machines" | sort | tr '\n' '|'
}

run host/good
ok "a test that passes" is "$status" 0
ok "is counted, with what it skips" says '^1 passed, 0 failed, 1 skipped$'
ok "and the reason is told" says '^skipped: host/good: two: no disk$'
run host/slow
ok "a test that takes too long fails" is "$status" 1
ok "and it is said why" says '^failed: host/slow: not ended in time$'
run
ok "bad ones among the tests fail the run" is "$status" 1
ok "what needs the debug kernel is left out" is "$(grep -c debug "$work/machines")" 0
ok "those without options share a machine, and those behind one that failed get another" is "$(machines)" \
	"vm/a vm/bad vm/crash vm/d vm/left vm/noplan vm/typo|vm/crash vm/d vm/left vm/noplan vm/typo|vm/d vm/left vm/noplan vm/typo|vm/disk|vm/noplan vm/typo|vm/own|"
ok "a case that fails is named" says '^failed: vm/bad: two "quoted"$'
ok "a machine that dies is the test's failure" says '^failed: vm/crash: the kernel complained or died$'
ok "so are the cases that did not come" says '^failed: vm/crash: 1 cases instead of 2$'
ok "and a plan that is missing" says '^failed: vm/noplan: there is no plan$'
ok "and a command that the shell leaves out" says '^failed: vm/typo: the shell complains: .*okk: command not found$'
ok "and what is left behind" says '^failed: vm/left: it leaves something behind$'
ok "nothing else" says '^22 passed, 8 failed, 1 skipped$'
ok "the log of a test that fails is shown" says '^    the kernel log$'
ok "the options of a test are the machine's" grep -q -- '--device nvme,id=c --append a b ' "$work/machines"
ok "all results are there for machines" bash -c \
	'python3 -c "import json, sys; print(len(json.load(sys.stdin)))" <"$1" | grep -qx 31' - "$work/build/results/selftests.json"

run --kernel debug --jobs 1
ok "on the debug kernel they share one, and those behind one that failed get another" is "$(machines)" \
	"vm/a vm/bad vm/crash vm/d|vm/crash vm/d|vm/d|vm/debug vm/left vm/noplan vm/typo|vm/disk|vm/noplan vm/typo|vm/own|"
ok "the same fail" says '^17 passed, 6 failed$'
ok "it is four times slower" grep -q 'scale 4' "$work/build/results/log/vm-a-debug.log"
ok "and has as much more time" grep -q 'vm/own=1200' "$work/machines"

# What is left of build/results of both.
status=0
"$work/selftests/report" "set-up=61" >"$work/out" || status=$?
ok "a report fails where a test has" is "$status" 1
ok "it has the steps" says '^  set-up +1 min 01 s$'
ok "a line for each kernel" says '^debug kernel: 17 passed, 6 failed, 0 skipped$'
ok "and the last line is over both" is "$(tail -n 1 "$work/out")" "39 passed, 14 failed, 1 skipped"
rm "$work/build/results/selftests-debug.tsv"
"$work/selftests/report" >"$work/out" || status=$?
ok "a kernel that was not run is a failure" is "$(tail -n 2 "$work/out" | tr '\n' '|')" \
	"debug kernel: not run|22 passed, 9 failed, 1 skipped|"

# A part, of ten tests that take a minute each of two processors, in three minutes: two are
# in each of five pieces.
for name in "$work"/selftests/vm/*.sh; do
	rm "$name"
done
for name in a b c d e f g h i j; do
	script vm/$name $'# covers: src/'$name$' src/shared\necho 1..1; echo ok 1 a case'
	echo "vm/$name 10 105"
done >"$work/selftests/times"
mkdir -p "$work/src"
printf '/%s\n' build cache machines out second started >"$work/.gitignore"
touch "$work"/src/{a,b,c,d,e,f,g,h,i,j,shared}
repository() {
	git -C "$work" -c user.name=x -c user.email=x@example.org "$@"
}
repository init -q -b main
repository add .
repository commit -qm one

# part [OPTION]...: what is chosen, in one line.
part() {
	env XDG_CACHE_HOME="$work/cache" CI_BUDGET=3 "$work/selftests/run" --kernel debug --part --list >"$work/out" 2>&1
	sed -n 's/^vm\///p' "$work/out" | tr -d '\n'
}

export CI_TURN
chosen=''
for CI_TURN in 7 8 9 10 11; do
	chosen+=" $(part)"
done
ok "five runs in a row run everything" is "$chosen" " ef gh ij ab cd"
ok "it is said which turn it is" says '^part: turn 2 of 5 \(CI_TURN\), 0 files touched; about 2 of 3 minutes, in all 10$'
ok "and when what is left out comes" says '^part:     vm/a .* comes with turn 1$'
CI_TURN=0
echo change >"$work/src/h"
ok "what is touched comes as well" is "$(part)" abh
ok "and it is said why" says '^part: run vm/h .* touched: src/h$'
echo change >"$work/src/shared"
ok "first what is touched most, as long as there is time" is "$(part)" abh
ok "and it is said what there is no time for" says '^part:     vm/c .* no time left, although touched: src/shared$'
repository checkout -qb topic
repository commit -qam two
ok "of a branch all is the change" is "$(part)" abh
repository checkout -q main
ok "the same twice is the same" is "$(part)" "$(part)"
unset CI_TURN
first=$(part)
ok "where nothing is kept, the number of commits says whose turn it is" says 'turn 2 of 5 \(of 1 commits\)'
env XDG_CACHE_HOME="$work/cache" CI_BUDGET=3 "$work/selftests/run" --kernel debug --part >"$work/out"
ok "a run runs what was chosen" is "$(sed -nE 's/^vm\/([a-z]) .*/\1/p' "$work/out" | sort | tr -d '\n')" "$first"
part >"$work/second"
ok "and the next has the next turn" says 'turn 3 of 5 \(the one after the last\)'
# No time at all, and less than that, since $SECONDS counts whole ones.
rm -rf "$work/cache"
env XDG_CACHE_HOME="$work/cache" CI_BUDGET=-1 "$work/selftests/run" --kernel debug --part >"$work/out"
ok "what there is no time for is left out" says '^skipped: vm/c: all: there was no time left for it in this part$'
ok "and is no failure" says '^0 passed, 0 failed, 2 skipped$'
ok "the next part has it, and its own" is "$(part)" cdef
ok "and it is said why" says '^part: run vm/d .* left out by the last$'
ok "with a turn that is given nothing is kept" is "$(CI_TURN=1 part)" cd
sed -i 's/^\tpart_last=.*/\tpart_last=$((SECONDS + 60)) part_end=$((SECONDS + 1))/' "$work/selftests/lib/choice.sh"
script vm/c 'echo 1..2; echo ok 1 one; exit 99'
CI_TURN=1 CI_BUDGET=3 "$work/selftests/run" --kernel debug --part >"$work/out" 2>&1
ok "what runs at the end of a part is ended, and fails" says '^failed: vm/c: not ended in time$'
script vm/a $'# covers: src/none\necho 1..1; echo ok 1 a case'
ok "what a test covers has to be there" fails "$work/selftests/run" --kernel debug --list

script vm/hang $'# timeout: 1\necho 1..2; echo ok 1 one; printf "half a li"; exit 99'
sed -i 's/^\tgrace=.*/\tgrace=1/' "$work/selftests/lib/machines.sh"
run vm/hang
ok "a machine that hangs is ended" says '^failed: vm/hang: not ended in time$'
ok "and what it said is shown" says '^    half a liqemu/run: error: not ended$'

script vm/hang 'touch started; exec sleep 60'
rm -f "$work/started"
"$work/selftests/run" vm/hang >"$work/out" 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do
	[ ! -e "$work/started" ] || break
	sleep 0.1
done
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
ok "a run that is ended by a signal says so" is "$status" 143
ok "and leaves nothing behind" fails compgen -G "$work/build/selftests.*"
ok "a test that is not there is refused" fails "$work/selftests/run" vm/none
finish
