#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: what selftests/run makes of tests and machines that do well and badly. A
# script stands in for qemu/run, so that no machine is booted.
#
# shellcheck disable=SC2317,SC2016

. "$(dirname "$0")/../ktap.sh"
top=$(cd "$(dirname "$0")/../.." && pwd -P)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{build,qemu,selftests/{check,host,vm}}
cp "$top/selftests/run" "$work/selftests/run"

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
	"${0%/qemu/run}/selftests/${item%=*}.sh" || status=$?
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

for name in format lint unsafe crates docs; do
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
script vm/own $'# machine: own\necho 1..1; echo ok 1 a case'
script vm/debug $'# requires: debug kernel\necho 1..1; echo ok 1 a case'

# The one that runs this has set it.
unset SELFTEST_SCALE

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

plan 26

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
ok "on the stock kernel each has a machine" is "$(machines)" \
	"vm/a|vm/bad|vm/crash|vm/d|vm/disk|vm/left|vm/noplan|vm/own|"
ok "a case that fails is named" says '^failed: vm/bad: two "quoted"$'
ok "a machine that dies is the test's failure" says '^failed: vm/crash: the kernel complained or died$'
ok "so are the cases that did not come" says '^failed: vm/crash: 1 cases instead of 2$'
ok "and a plan that is missing" says '^failed: vm/noplan: there is no plan$'
ok "and what is left behind" says '^failed: vm/left: it leaves something behind$'
ok "nothing else" says '^19 passed, 7 failed, 1 skipped$'
ok "the log of a test that fails is shown" says '^    the kernel log$'
ok "the options of a test are the machine's" grep -q -- '--append a b --device nvme,id=c ' "$work/machines"
ok "all results are there for machines" bash -c \
	'python3 -c "import json, sys; print(len(json.load(sys.stdin)))" <"$1" | grep -qx 27' - "$work/build/results/selftests.json"

run --kernel debug --jobs 1
ok "on the debug kernel they share one, and those behind one that failed get another" is "$(machines)" \
	"vm/a vm/bad vm/crash vm/d|vm/crash vm/d|vm/d|vm/debug vm/left vm/noplan|vm/disk|vm/noplan|vm/own|"
ok "the same fail" says '^15 passed, 5 failed$'
ok "it is four times slower" grep -q 'scale 4' "$work/build/results/log/vm-a-debug.log"
ok "and has as much more time" grep -q 'vm/own=1200' "$work/machines"

script vm/hang $'# timeout: 1\necho 1..2; echo ok 1 one; printf "half a li"; exit 99'
sed -i 's/^grace=.*/grace=1/' "$work/selftests/run"
run vm/hang
ok "a machine that hangs is ended" says '^failed: vm/hang: not ended in time$'
ok "and what it said is shown" says '^    half a liqemu/run: error: not ended$'

script vm/hang 'touch started; sleep 60'
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
