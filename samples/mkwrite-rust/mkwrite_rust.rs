// SPDX-License-Identifier: GPL-2.0

//! mkwrite_rust: a filesystem with one file, for [`page_mkwrite()`] in Rust.
//!
//! `mount -t mkwrite_rust DEVICE DIR`
//!
//! DIR/data is the device, block by block. It may be made longer: then there are no blocks for what
//! is behind, and a store there fails at once, not when it is written back.

use kernel::prelude::*;
use stable_pages::{
    fs,
    mm::{page_mkwrite, VmFault, VmFaultResult, Wait}, //
};

module! {
    type: Module,
    name: "mkwrite_rust",
    authors: ["The stable-pages authors"],
    description: "A filesystem with one file, for page_mkwrite() in Rust",
    license: "GPL v2",
    alias: ["fs-mkwrite_rust"],
}

struct MkwriteRust;

impl fs::OneFile for MkwriteRust {
    const NAME: &'static CStr = c"mkwrite_rust";
    const MAGIC: usize = 0x6d6b_7772;

    fn page_mkwrite(fault: &VmFault, device_size: u64) -> VmFaultResult {
        page_mkwrite(fault, Wait::Always, |folio, len| {
            if folio.pos() + len as u64 > device_size {
                return Err(ENOSPC);
            }
            Ok(())
        })
    }
}

static TYPE: fs::Type<MkwriteRust> = fs::Type::one_file();

struct Module {
    _registration: fs::Registration<MkwriteRust>,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registration: fs::Registration::new(&TYPE, module)?,
        })
    }
}
