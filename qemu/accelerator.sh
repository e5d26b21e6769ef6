# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What runs the instructions of a virtual machine, and what its kernel is told for it. Sourced
# after lib.sh.
#
# shellcheck disable=SC2034 # of scripts that source this

# Whether a guest runs under KVM: yes or no, once qemu/run has tried.
kvm_file=$cache/kvm-$(</proc/sys/kernel/random/boot_id)

kvm=(-accel kvm -cpu host)
# `rep movsb' and `rep stosb' are emulated byte by byte: without them the kernel copies
# and clears memory two to three times as fast. With -icount, each would count as many
# instructions.
tcg=(-accel 'tcg,thread=multi' -cpu 'max,-la57,-erms,-fsrm')

# The time stamp counter of an emulated processor is the host's, and on a busy host
# the guest can find its rate a tenth of what it is, so that its clock runs ten
# times as fast and no time-out means anything. What it finds in a whole second is
# right, so later machines are told that.
rate_file=$cache/tsc-$(</proc/sys/kernel/random/boot_id)

# emulated: prints what the kernel is told on an emulated processor. A busy host can keep a
# guest from running for long.
emulated() {
	printf 'watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60'
	[ ! -e "$rate_file" ] || printf ' tsc_early_khz=%s' "$(<"$rate_file")"
}
