# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What Debian's archive has: the host's own apt asks, with lists and settings of our
# own in the cache, and downloads from the mirror that the host itself uses.

# mirror: the host's own for Debian.
mirror() {
	local uri codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
	# shellcheck disable=SC2016 # apt expands these
	uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
		awk -v c="$codename" '$2 == c && $3 == "main" { print $1; exit }')
	[ -n "$uri" ] || die "apt on this machine knows no Debian mirror for '$codename'; see: apt-get indextargets"
	printf '%s\n' "$uri"
}

# apt_conf: proxies and the like, as the host's apt has them.
apt_conf() {
	apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|Check-Valid-Until|Check-Date)' || true
	printf 'APT::Sandbox::User "root";\n'
}

# configure_apt: once for each process that asks.
configure_apt() {
	[ -z "${apt_is_configured:-}" ] || return 0
	local dir=$cache/apt key suite m
	mkdir -p "$dir/lists/partial" "$dir/archives/partial"
	m=$(mirror)
	for key in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
		[ ! -e "$key" ] || break
	done
	for suite in trixie trixie-backports; do
		printf 'deb %s%s %s main\n' "$([ ! -e "$key" ] || echo "[signed-by=$key] ")" "$m" "$suite"
	done | write_changed "$dir/sources.list"
	{
		apt_conf
		printf '%s "%s";\n' APT::Architecture amd64 \
			Dir::Etc::main /dev/null Dir::Etc::parts /dev/null \
			Dir::Etc::sourcelist "$dir/sources.list" Dir::Etc::sourceparts /dev/null \
			Dir::State::lists "$dir/lists" Dir::State::status /dev/null Dir::Cache "$dir"
	} | write_changed "$dir/apt.conf"
	apt_is_configured=1
}

# write_changed FILE: from standard input. What apt has made of its lists is good only
# for as long as the files it was told them by are not newer.
write_changed() {
	local new=$1.$BASHPID
	cat >"$new"
	if cmp -s "$new" "$1"; then
		rm "$new"
	else
		mv "$new" "$1"
	fi
}

# apt_for_trixie COMMAND...: one of apt's, with these settings.
apt_for_trixie() {
	configure_apt
	APT_CONFIG=$cache/apt/apt.conf "$@"
}

# offered_series: those of which apt has the source, oldest first.
offered_series() {
	apt_for_trixie apt-cache search --names-only '^linux-source-[0-9.]+$' |
		sed -nE 's/^linux-source-([0-9.]+) .*/\1/p' | sort -Vu
}

# newest_kernel SERIES: "VERSION RELEASE", the newest that apt offers with image,
# modules, headers and the source that it was built from; false if there is none.
newest_kernel() {
	local v r
	for v in $(apt_for_trixie apt-cache madison "linux-source-$1" | awk '{ print $3 }' | sort -Vr); do
		# 7.2.12-1~bpo13+1 is the release 7.2.12+deb13-amd64.
		r=${v%%-*}+deb13-amd64
		if apt_for_trixie apt-cache madison "linux-binary-unsigned-$r" "linux-base-$r" \
			"linux-modules-$r" "linux-headers-$r" |
			awk -v v="$v" '$3 == v { n++ } END { exit n < 4 }'; then
			printf '%s %s\n' "$v" "$r"
			return
		fi
	done
	return 1
}
