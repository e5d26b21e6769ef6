# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Which kernel is taken: of the series KERNEL or, where it is not set, of the newest
# that is both in qemu/series and whole in the archive.

# table: the series that the module was tried with, oldest first.
table() {
	sed -e 's/#.*//' -e '/^ *$/d' "$top/qemu/series" | sort -V
}

in_one_line() {
	paste -sd' '
}

is_in_table() {
	table | grep -qxF -e "$1"
}

# is_newer_than_table SERIES: than all that are there.
is_newer_than_table() {
	! is_in_table "$1" && [ "$( (table && printf '%s\n' "$1") | sort -V | tail -n 1)" = "$1" ]
}

# untried_series: those that apt offers and the table does not know yet, oldest first.
untried_series() {
	local series
	for series in $(offered_series); do
		! is_newer_than_table "$series" || printf '%s\n' "$series"
	done
}

# kernel_in_cache SERIES: sets version and release.
kernel_in_cache() {
	local link=$cache/stock-$1
	[ -e "$link/release" ] && version=$(<"$link/version") && release=$(<"$link/release")
}

# refresh_lists: once a day is often enough to ask for newer kernels. A machine that is
# off line keeps what it has, and tries again in an hour.
refresh_lists() {
	local checked=$cache/apt/checked
	[ -z "$(find "$checked" -mtime -1 2>/dev/null)" ] || return 0
	if (step "Asking apt for kernels" apt_for_trixie apt-get -qq update \
		-o APT::Update::Error-Mode=any); then
		touch "$checked"
		return
	fi
	series_in_cache >/dev/null || exit 1
	touch -d '-23 hours' "$checked"
}

# series_in_cache: the newest of the table of which there is a kernel.
series_in_cache() {
	local series
	for series in $(table | tac); do
		if (kernel_in_cache "$series"); then
			printf '%s\n' "$series"
			return
		fi
	done
	return 1
}

# choose_series: the newest of the table that is whole; else the oldest that is newer,
# which the module is most likely to fit.
choose_series() {
	local series
	for series in $(table | tac) $(untried_series); do
		if newest_kernel "$series" >/dev/null; then
			printf '%s\n' "$series"
			return
		fi
	done
	series_in_cache ||
		die "apt offers no complete kernel of a series that stable-pages knows ($(table | in_one_line)); there: $(offered_series | in_one_line)"
}

# choose_kernel: sets KERNEL, version and release of the newest of that series, and
# stock, the folder of the cache that it is or will be in.
choose_kernel() {
	local chosen
	[ -z "${stock:-}" ] || return 0
	[ -z "${KERNEL:-}" ] || is_in_table "$KERNEL" || {
		[[ $KERNEL =~ ^[0-9]+\.[0-9]+$ ]] && is_newer_than_table "$KERNEL"
	} || die "KERNEL=$KERNEL is not supported; supported: $(table | in_one_line)"
	mkdir -p "$cache/apt"
	with_lock apt refresh_lists
	if [ -z "${KERNEL:-}" ]; then
		if ! is_of_today "$(chosen_series)"; then
			chosen=$(choose_series)
			write_file "$(chosen_series)" "$chosen"
		fi
		KERNEL=$(<"$(chosen_series)")
	fi
	export KERNEL
	is_in_table "$KERNEL" ||
		printf '  Linux %s is newer than the series that stable-pages was tried with (%s)\n' \
			"$KERNEL" "$(table | in_one_line)" >&2
	choose_version
}

# choose_version: what apt has dropped is used for as long as it is in the cache.
choose_version() {
	local file=$cache/apt/newest-$KERNEL newest
	if is_of_today "$file"; then
		newest=$(<"$file")
	elif newest=$(newest_kernel "$KERNEL"); then
		write_file "$file" "$newest"
	elif kernel_in_cache "$KERNEL"; then
		printf '  apt offers no complete kernel of series %s; going on with %s\n' \
			"$KERNEL" "$release" >&2
		stock=$(readlink -f "$cache/stock-$KERNEL")
		return
	else
		die "apt offers no complete kernel of series $KERNEL; supported: $(table | in_one_line); there: $(offered_series | in_one_line)"
	fi
	read -r version release <<<"$newest"
	stock=$(stock_dir)
}

# is_of_today FILE: it was written after apt was asked.
is_of_today() {
	[ -e "$1" ] && [ ! "$cache/apt/checked" -nt "$1" ]
}

# write_file FILE TEXT: nothing ever reads half of it.
write_file() {
	printf '%s\n' "$2" >"$1.$$"
	mv "$1.$$" "$1"
}
