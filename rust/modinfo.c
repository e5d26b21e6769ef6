// SPDX-License-Identifier: GPL-2.0
/*
 * What modinfo says beside the fields that module! has: the version, the source that
 * the module was built from, and the compiler; vermagic says for which kernel.
 */
#include <linux/module.h>

#include "modinfo_generated.h"

MODULE_VERSION(SP_VERSION);
MODULE_INFO(source, SP_SOURCE);
MODULE_INFO(rustc, CONFIG_RUSTC_VERSION_TEXT);
