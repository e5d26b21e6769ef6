// SPDX-License-Identifier: GPL-2.0

//! Whatever is short and in whatever order things come: every I/O ends, and each once.

mod checker;
mod handover;
mod pools;
mod watch;
