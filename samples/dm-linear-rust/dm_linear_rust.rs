// SPDX-License-Identifier: GPL-2.0

//! `linear-rust <dev> <offset>`: a range of the device `dev`, from sector `offset` (of 512 bytes) on,
//! as the kernel's own target `linear` has it.

use kernel::{fmt, prelude::*};
use stable_pages::block::{
    dm::{Features, Io, Mapped, NumBios, Registration, Setup, Submitting, TableError, Target},
    Device, Sector,
};

module! {
    type: DmLinearRust,
    name: "dm_linear_rust",
    authors: ["The stable-pages authors"],
    description: "A device-mapper target in Rust: a range of a device",
    license: "GPL v2",
}

struct DmLinearRust {
    _target: Registration<Linear>,
}

impl kernel::Module for DmLinearRust {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _target: Registration::new(module)?,
        })
    }
}

/// The target: a device, and the sector of it at which the range begins.
struct Linear {
    device: Device,
    offset: Sector,
}

#[vtable]
impl Target for Linear {
    type IoData = ();
    const NAME: &'static CStr = c"linear-rust";
    const VERSION: [u32; 3] = [1, 0, 0];
    const FEATURES: Features = Features::PASSES_INTEGRITY.and(Features::NOWAIT);
    const FORWARDS_IOCTLS: bool = true;

    fn new(setup: &mut Setup<'_>, args: &[&str]) -> Result<Self, TableError> {
        let &[device, offset] = args else {
            return Err(TableError::invalid(c"two arguments: a device, a sector"));
        };
        let offset = offset
            .parse()
            .map(Sector::new)
            .map_err(|_| TableError::invalid(c"offset: not a number of sectors"))?;
        let device = setup
            .open(device)
            .map_err(|error| TableError::failed(c"dev: cannot be opened", error))?;
        setup.set_num_bios(NumBios::ONE);
        Ok(Self { device, offset })
    }

    fn map(&self, io: Io<'_, Self, Submitting>) -> Mapped {
        let sector = self.offset.skip(io.sector().number());
        io.remap(&self.device, sector)
    }

    fn device(&self) -> (&Device, Sector) {
        (&self.device, self.offset)
    }

    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{} {}", self.device.name(), self.offset.number())
    }
}
