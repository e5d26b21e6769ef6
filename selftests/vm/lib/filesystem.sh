# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What programs do with a file system, in a folder of it. Each of these prints why it
# failed.

# soaked SHORT LONG: of repetitions; long with SELFTEST_SOAK, see selftests/run.
soaked() {
	if ((${SELFTEST_SOAK:-0})); then
		printf '%d\n' "$2"
	else
		scaled "$1"
	fi
}

# exercised DIR: fsx, the file system exerciser: random reads, writes, truncates,
# fallocates and accesses through mappings of a file, each compared with a model. fsx
# keeps what it maps for reading (0.3.2), and a process may have 65530 mappings: a
# million operations are those of a hundred runs.
exercised() {
	local seed runs operations
	runs=$(soaked 1 100) operations=$(soaked 3000 10000)
	for ((seed = 1; seed <= runs; seed++)); do
		"$top/build/crates/fsx" -q -f "$vm/lib/fsx.toml" -P "$work" \
			-N "$operations" -S "$seed" "$1/fsx" >"$work/fsx" 2>&1 || {
			echo "seed $seed:"
			tail -n 20 "$work/fsx"
			return 1
		}
		rm "$1/fsx"
	done
}

# names DIR: what pjdfstest finds: one line for each of its tests.
names() {
	"$top/build/crates/pjdfstest" -c "$vm/lib/pjdfstest.toml" -p "$1" 2>&1 |
		sed -E 's/\x1b\[[0-9;]*m//g'
}

# stressed DIR: stress-ng's files, asynchronous I/O and mappings, which look at what
# they read back.
stressed() {
	local factor
	factor=$(soaked 1 100)
	stress-ng --verify --temp-path "$1" \
		--hdd 1 --hdd-bytes 4M --hdd-ops $((500 * factor)) --aio 1 --aio-ops $((1000 * factor)) \
		--mmap 1 --mmap-file --mmap-bytes 1M --mmap-ops $((4 * factor)) >"$work/stress" 2>&1 || {
		tail -n 20 "$work/stress"
		return 1
	}
}

# cloned DIR: a repository with the project in it, a clone of that, and the
# documentation built in the clone.
cloned() {
	(
		set -e
		export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
		git clone -q --no-hardlinks --single-branch "file://$top" "$1/first"
		git clone -q --no-hardlinks "$1/first" "$1/second"
		git -C "$1/second" fsck --strict --no-progress
		git -C "$1/second" gc --quiet
		git -C "$1/second" fsck --strict --no-progress
		[ -z "$(git -C "$1/second" status --porcelain)" ]
		sphinx-build -q -W -b html "$1/second/Documentation" "$1/second/html"
		[ -s "$1/second/html/index.html" ]
		[ "$(git -C "$1/first" rev-parse HEAD)" = "$(git -C "$1/second" rev-parse HEAD)" ]
		rm -r "$1/first" "$1/second"
	) >"$work/git" 2>&1 || {
		tail -n 20 "$work/git"
		return 1
	}
}

# survives DIR MODE: SQLite in that journal mode is killed in the middle of
# transactions, three times; each that it had acknowledged is there, and whole.
survives() {
	local db=$1/$2.db round acknowledged last_acknowledged found check last wrong
	sqlite3 "$db" "PRAGMA journal_mode=$2; CREATE TABLE t(id INTEGER PRIMARY KEY, data BLOB, sum BLOB)" \
		>"$work/sqlite" 2>&1 || {
		cat "$work/sqlite"
		return 1
	}
	for round in 1 2 3; do
		transactions "$db"
		acknowledged=$(grep -c '^done' "$work/done")
		((acknowledged)) || {
			echo "no transaction was acknowledged in round $round: $(tail -n 3 "$work/done")"
			return 1
		}
		found=$(sqlite3 "$db" 'PRAGMA integrity_check; SELECT max(id) FROM t;
			SELECT count(*) FROM t WHERE sum IS NOT sha3(data)')
		read -r -d '' check last wrong <<<"$found" || :
		last_acknowledged=$(sed -n 's/^done //p' "$work/done" | tail -n 1)
		if [ "$check $wrong" != "ok 0" ] || ((last < last_acknowledged)); then
			echo "round $round, up to $last_acknowledged acknowledged, found: $found"
			return 1
		fi
	done
}

# transactions DATABASE: until it is killed; $work/done holds what was acknowledged.
transactions() {
	local writer
	: >"$work/done"
	while :; do
		echo "BEGIN; INSERT INTO t(data) VALUES(randomblob(3000)); INSERT INTO t(data) VALUES(randomblob(20000));
			UPDATE t SET sum = sha3(data) WHERE sum IS NULL; COMMIT;
			SELECT 'done ' || max(id) FROM t;"
	done 2>/dev/null | stdbuf -oL sqlite3 "$1" >"$work/done" 2>&1 &
	writer=$!
	wait_for 60 acknowledges 5
	kill -KILL "$writer"
	wait "$writer" 2>/dev/null
}

# acknowledges NUMBER: of transactions, so many or more.
acknowledges() {
	(($(wc -l <"$work/done") >= $1))
}
