// SPDX-License-Identifier: GPL-2.0

//! stackfs: a page cache of its own over a folder of another filesystem.
//!
//! `mount -t stackfs -o lowerdir=/folder none /mnt`
//!
//! It shows how dirty pages of one filesystem are written to another without a deadlock, and without
//! losing an error: Documentation/stackfs.rst. Names are the library's business; this is about data.

use kernel::prelude::*;
use stable_pages::fs;

mod commit;
mod data;
mod size;

module! {
    type: StackFsModule,
    name: "stackfs",
    authors: ["The stable-pages authors"],
    description: "A page cache over a folder of another filesystem",
    license: "GPL v2",
    alias: ["fs-stackfs"],
}

struct StackFs;

static TYPE: fs::Type<StackFs> = fs::Type::new();

struct StackFsModule {
    _registration: fs::Registration<StackFs>,
}

impl kernel::Module for StackFsModule {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registration: fs::Registration::new(&TYPE, module)?,
        })
    }
}
