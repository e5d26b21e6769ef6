// SPDX-License-Identifier: GPL-2.0
/*
 * What other modules may use: all that is public in the crate, and the helpers
 * that its generic and inline functions call, as the kernel does it for its own
 * crates. Rust modules see this through libstable_pages.rmeta; the name of each
 * symbol holds a hash of the crate, so a module that was built with another
 * version of it is not loaded.
 */
#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"
