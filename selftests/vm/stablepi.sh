#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stablepi.sh: the tool for administrators: each example of its help runs, what
# it says of a stack is so, what it refuses it refuses with one line and a status,
# and it finds what is corrupt and whose it is.
#
# timeout: 600
# requires: stock kernel
# covers: tools/stablepi

. "$(dirname "$0")/lib.sh"


pi=$top/build/cargo/release/stablepi
out=$work/out
declare said errors status

# pi ARGUMENT...: run the tool; what it prints is in $said, its status in $status.
pi() {
	status=0
	"$pi" "$@" >"$out" 2>"$out.err" </dev/null || status=$?
	said=$(<"$out") errors=$(<"$out.err")
	printf '%s\n%s\nstatus %d\n' "$said" "$errors" "$status"
}

# ends STATUS ARGUMENT...: with that status, and one line of error unless it is 0 or 3.
ends() {
	local wanted=$1 lines
	shift
	pi "$@"
	[ "$status" = "$wanted" ] || return
	lines=$(grep -c . <<<"$errors")
	case $wanted in
	0 | 3) [ "$lines" = 0 ] ;;
	*) [ "$lines" = 1 ] && [[ $errors == stablepi:* ]] ;;
	esac
}

# says TEXT...: all of it, in what was printed last.
says() {
	local text
	for text; do
		[[ "$said$errors" == *"$text"* ]] || {
			printf 'it does not say: %s\n%s\n%s\n' "$text" "$said" "$errors"
			return 1
		}
	done
}

# does STATUS TEXT ARGUMENT...: ends so, and says that.
does() {
	local wanted=$1 text=$2
	shift 2
	ends "$wanted" "$@" && says "$text"
}

# corrupt SECTOR [COUNT]: of the disk: other data below the same tuples.
corrupt() {
	must without_tuples "$disk" dd if=/dev/urandom "of=$disk" bs=512 seek="$1" count="${2:-1}" oflag=direct conv=notrunc
}

make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
ok "the module loads" load_module
bail_unless_sda() { [ "$disk" = /dev/sda ] || bail "the examples are for /dev/sda, not $disk"; }
bail_unless_sda

defer rm -rf /run/man /run/stablepi.prom /run/units /run/stablepitab /run/scrub.json /run/adopt.json /run/killed /run/s /run/a

# The examples of the help, in their order --------------------------------------

echo "tabbed /dev/sda policy=copy" >/run/stablepitab
for command in $("$pi" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
	[ "$command" != help ] || continue
	example=$("$pi" "$command" --help | sed -n '/^Example:/,$s/^  stablepi //p')
	read -ra words <<<"$example"
	ok "example: stablepi $example" ends 0 "${words[@]}"
done
note "$(ls /run/man)"

# What a stack is ------------------------------------------------------------------

ok "a disk with protection information is at risk" does 3 '"line":"0 65536 stable-pi /dev/sda 0"' --json probe --check /dev/sda
ok "it says what checks" says '"format":"T10-DIF-TYPE1-CRC"' '"checked_by":"the device (/dev/sda)"'
# opened ARGUMENT...: of open; it goes in the end.
opened() {
	must pi open "$@"
	[ "$status" = 0 ] || bail "stablepi open $*: $errors"
	defer gone_device "$2"
}

opened /dev/sda pi
# closed NAME: what opened has opened.
closed() {
	must pi close "$1"
	[ "$status" = 0 ] || bail "stablepi close $1: $errors"
	undefer gone_device "$1"
}
ok "with stable-pi nothing is at risk" does 0 'At risk: nothing' probe --check pi
ok "the tree goes down to the disk" says '└─ /dev/sda  disk scsi_debug'
must map over "0 1024 linear /dev/mapper/pi 0"
ok "what stands on it is named" does 0 '/dev/mapper/over (mapped: linear) on /dev/mapper/pi' probe /dev/sda
must unmap over

# Refusals -------------------------------------------------------------------------

ok "refused: a name that is taken" does 5 'is there already' open /dev/sda pi
ok "refused: no such device" does 4 'there is no /dev/none' open /dev/none x
ok "refused: a file" does 4 'is no block device' probe /etc/passwd
ok "refused: what the target refuses, with its reason" does 1 'policy: not one of auto' open /dev/sda x --argument policy:best
ok "refused: a message, with its reason" does 1 'not one of policy' change pi --message 'nonsense 1'
ok "refused: the command line" does 2 "invalid value 'best'" open /dev/sda x --policy best
must map over "0 8 zero"
ok "refused: a mapped device of another kind" does 4 'over is no stable-pi device but zero' status over
must unmap over
ok "refused: to adopt what is in use" does 5 '/dev/sda is in use' adopt /dev/sda --yes
ok "refused: to test what holds something, or is in use" does 5 '/dev/sda is in use' test /dev/sda

# Settings and counters ------------------------------------------------------------

ok "policy and recheck are changed" does 0 '' change pi --policy optimistic --recheck on
ok "the status shows them" does 0 '"policy":"optimistic"' status pi --json
ok "all of them" says '"recheck":"on"' '"verify":"on"' '"table":{"device":"8:0","offset":0,"args":["policy:optimistic","recheck:on"]}'
ok "and so does the kernel" is "$(status_of pi policy)" optimistic
"$pi" events pi --follow --count 1 --json >"$work/events" 2>&1 &
follower=$!
must wait_for 20 compgen -G '/sys/kernel/tracing/instances/stablepi-*'
load direct --path /dev/mapper/pi --block-size 16K --size 1M --seconds 2 --depth 2
wait "$follower"
note "$(<"$work/events")"
ok "the application under whose write a page changed is named by its path" grep -q '"whose":"pinned page, written by [^"]*/loads (' "$work/events"
ok "the trace instance is gone" fails compgen -G '/sys/kernel/tracing/instances/stablepi-*'
ok "top shows the device" does 0 '"name":"pi","status":{"policy":"optimistic","verify":"on"' --json top --batch 1 --interval 0.1 --waits
# on_terminal: top beside a load, until a key ends it; the screen is in $work/screen.
on_terminal() {
	local status=0
	"$loads" direct --path /dev/mapper/pi --block-size 16K --size 1M --seconds 60 --depth 2 >/dev/null 2>&1 &
	{ sleep 3 && printf q; } | script -qec "stty cols 120 rows 30; $pi top --interval 0.3" "$work/screen" >/dev/null ||
		status=$?
	kill $!
	wait $! 2>/dev/null
	return "$status"
}
ok "top in a terminal, until a key" on_terminal
note "$(cat -v "$work/screen")"
ok "it draws what is written" grep -aq 'INPLACE/s' "$work/screen"
ok "and whose pages change" grep -aq '/release/loads' "$work/screen"
ok "and gives the terminal back" grep -aq $'\e\[?1049l' "$work/screen"
ok "list shows it" does 0 'pi' list
# As a program reads them that is not ours.
scraped() {
	must pi metrics
	python3 -c 'import sys
from prometheus_client.parser import text_string_to_metric_families
samples = {sample.name: (sample.value, sample.labels) for family in text_string_to_metric_families(sys.stdin.read())
           for sample in family.samples}
print(samples)
value, labels = samples["stable_pi_unstable_total"]
assert (int(value), labels) == (int(sys.argv[1]), {"name": "pi", "start": "0"}), "changed pages"
assert samples["stable_pi_info"][1]["policy"] == "optimistic", "settings"
' "$1" <<<"$said"
}
ok "a parser of Prometheus finds the counters" scraped "$(status_of pi unstable)"
ok "and settings" says 'stable_pi_info{' 'profile="T10-DIF-TYPE1-CRC"'
ok "refused: metrics as JSON" does 2 'that of Prometheus' --json metrics
ok "refused: a file in a folder that is not there" does 1 'the folder must be there' metrics --textfile /run/none/x
ok "counters are reset" does 0 '' change pi --reset
ok "and are 0" is "$(status_of pi writes)" 0

# What is corrupt, and whose it is ---------------------------------------------------

# On a fresh disk: scsi_debug leaves tuples behind where WRITE SAME, of which mkfs makes use,
# zeroes what was written before.
closed pi
drop_disk
make_disk dev_size_mb=32 dif=1 dix=1 guard=0 "${window[@]}"
bail_unless_sda
opened /dev/sda pi --argument inject:on
ext4_on /dev/mapper/pi
must dd if=/dev/urandom "of=$mnt/a file" bs=4k count=16 conv=fsync
block=$(filefrag -v -b512 "$mnt/a file" | awk '$1 == "0:" { print $4 + 0 }')
note "the file begins at sector $block"
corrupt $((block + 11)) 2
ok "a scrub finds it" does 3 "sectors $((block + 11))-$((block + 12))" scrub pi --state /run/s
ok "and the file, and where in it" says "$mnt/a file bytes 5632-6655"
ok "as JSON" does 3 "{\"sector\":$((block + 11)),\"sectors\":2,\"error\":\"EILSEQ\",\"files\":[{\"path\":\"$mnt/a file\",\"offset\":5632,\"bytes\":1024}]}" --json scrub pi --state /run/s
ok "the kernel log has it" does 3 "pi sector $((block + 11)) read_mismatch" events pi
ok "refused: to close what is mounted" does 5 "ext4 at $mnt" close pi

# A scrub that is killed, and goes on ------------------------------------------------

umount_all
# What was never written has tuples that ask for no check.
must dd if=/dev/urandom of=/dev/mapper/pi bs=512 seek=60000 count=1 oflag=direct
corrupt 60000
"$pi" scrub pi --rate 4M --state /run/killed >/dev/null 2>&1 &
scrub=$!
# beyond FILE BYTE: so far at least has it come.
beyond() {
	[[ $(cat "$1" 2>/dev/null) =~ \"next\":([0-9]+) ]] && ((BASH_REMATCH[1] >= $2))
}
must wait_for 60 beyond /run/killed 2097152
kill -KILL "$scrub"
wait "$scrub" 2>/dev/null
[[ $(</run/killed) =~ \"next\":([0-9]+) ]]
came=${BASH_REMATCH[1]}
note "killed at byte $came"
ok "it goes on" ends 3 --json scrub pi --resume --state /run/killed
ok "where it was" says "\"read_bytes\":$((33554432 - came))," '"complete":true'
ok "and tells of all that is bad" says "{\"sector\":$((block + 11)),\"sectors\":2," '{"sector":60000,"sectors":1,'
ok "then there is nothing to go on with" does 4 'nothing to go on with' scrub pi --resume --state /run/killed
"$pi" scrub pi --rate 4M --state /run/killed >/dev/null 2>"$work/stopped" &
scrub=$!
must wait_for 60 test -e /run/killed
kill -TERM "$scrub"
wait "$scrub"
ok "a signal stops it with a status of its own" is $? 6
ok "and it says how to go on" grep -q '^stablepi: stopped at byte [0-9]*; to go on: ' "$work/stopped"
ok "refused: to go on with another device" does 5 'of another device' scrub /dev/sda --resume --state /run/killed

# Faults, as they come ---------------------------------------------------------------

mkdir "$work/bin"
printf '#!/bin/sh\n{ echo "$@"; env | grep ^STABLEPI_; } >%s\n' "$work/told" >"$work/on-fault"
printf '#!/bin/sh\n[ "$*" = --journald ] && cat >%s\n' "$work/entry" >"$work/bin/logger"
chmod +x "$work/on-fault" "$work/bin/logger"
ok "reads are made wrong on purpose" ends 0 change pi --message "inject guard read $block 64"
PATH=$work/bin:$PATH "$pi" watch --journal --run "$work/on-fault" --count 1 >"$work/watched" 2>&1 &
watch=$!
# noticed: after one more read of another sector, of which the log has a line of its own.
noticed() {
	dd if=/dev/mapper/pi of=/dev/null bs=512 skip=$((block + turn++ % 64)) count=1 iflag=direct status=none 2>/dev/null
	! kill -0 "$watch" 2>/dev/null
}
turn=0
must wait_for 30 noticed
wait "$watch"
ok "watch ends with a status of its own" is $? 3
note "$(cat "$work/watched" "$work/told" "$work/entry")"
ok "it says which sector" grep -Eq "^pi corrupt: sector [0-9]+: read does not match: guard 0x" "$work/watched"
ok "it runs a program" is "$(head -n 1 "$work/told")" "pi corrupt"
ok "which is told the sectors" grep -Eqx "STABLEPI_SECTORS=[0-9 ]+" "$work/told"
ok "the journal gets fields" grep -qx STABLEPI_KIND=corrupt "$work/entry"
ok "and how bad it is" grep -qx PRIORITY=3 "$work/entry"
ok "a program that is not there is not run" does 0 '' watch pi --run "$work/none" --seconds 0.1
ok "nothing is wrong on purpose any more" ends 0 change pi --message "inject off"
must pi change pi --verify off
ok "refused: a scrub that nothing verifies" does 5 'nothing verifies' scrub pi

# To believe what is there -----------------------------------------------------------

closed pi
ok "refused: to adopt without an answer" does 5 'no terminal to ask on' adopt /dev/sda
ok "what did not match is told" does 0 "believed although it did not match: sectors 60000-60000" adopt /dev/sda --from 16M --yes --state /run/a
ok "only what is bad is written, if so asked" does 0 '"written_bytes":1024' --json adopt /dev/sda --only-bad --yes --state /run/a
ok "then all of the disk can be read" does 0 'nothing bad' scrub /dev/sda --state /run/s
ok "the block layer verifies again" is "$(integrity read_verify)" 1

# The tab ----------------------------------------------------------------------------

echo "tabbed /dev/sda policy=copy,size=8M" >/run/stablepitab
ok "what the tab names is opened" ends 0 tab open --file /run/stablepitab
ok "with its options" is "$(dmsetup table tabbed)" "0 16384 stable-pi 8:0 0 1 policy:copy"
ok "once" ends 0 tab open --file /run/stablepitab
ok "and closed" ends 0 tab close --file /run/stablepitab
ok "so that it is gone" fails dmsetup info tabbed
ln -s "$pi" "$work/stablepi-generator"
STABLEPITAB=/run/stablepitab "$work/stablepi-generator" /run/units /run/units /run/units
ok "the generator makes its units" test -L /run/units/dev-mapper-tabbed.device.wants/stablepi@tabbed.service

ok "udev is told which device is in the tab" ends 0 tab member /dev/sda --file /run/stablepitab
ok "also by a link to it" env DEVLINKS='/dev/x /dev/sda' "$pi" tab member /dev/sdz --file /run/stablepitab
ok "and which is not" fails "$pi" tab member /dev/sdz --file /run/stablepitab
ok "it is installed" tools/stablepi/install "$pi" "$work/root"
ok "the generator is the program" "$work/root/usr/lib/systemd/system-generators/../../../sbin/stablepi" --version
ok "udev takes the rule" udevadm verify --root="$work/root" --resolve-names=never

# A test for everybody ---------------------------------------------------------------

ok "refused: a second scsi_debug" does 5 'scsi_debug is loaded already' test --memory
drop_disk
ok "in memory: it fails without stable-pi, and not with it" does 0 'This stack fails when pages change under a write, and does not with stable-pi.' test --memory --seconds 2
note "$said"
ok "the disk in memory is gone" test ! -e /sys/module/scsi_debug
make_disk dev_size_mb=32 dif=1 dix=1 guard=0
must dd if=/dev/urandom "of=$disk" bs=1M count=1 seek=31 oflag=direct
held=$(dd if="$disk" bs=1M skip=31 count=1 iflag=direct status=none | sha256sum)
ok "refused: a device that holds something" does 5 'holds something' test "$disk"
ok "and it still holds it" is "$(dd if="$disk" bs=1M skip=31 count=1 iflag=direct status=none | sha256sum)" "$held"

ok "man pages are made" test -s /run/man/stablepi-scrub.8
ok "nothing is open" is "$("$pi" list | wc -l)" 1
finish
