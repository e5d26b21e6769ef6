// SPDX-License-Identifier: GPL-2.0

//! `pi-rust <dev>`: all of a device with an integrity profile, where the target makes the protection
//! information of writes, and checks that of reads, in the place of the block layer.
//!
//! It does nothing about data that changes in flight: that is what `stable-pi` is for.

use kernel::{fmt, prelude::*};
use stable_pages::block::{
    dm::{
        Completing, Ended, Features, Io, Looked, Looking, Mapped, NumBios, Registration, Setup,
        Submitting, TableError, Target,
    },
    integrity::{self, Pools, Region},
    Device, Profile, QueueLimits, Sector, Status,
};

module! {
    type: DmPiRust,
    name: "dm_pi_rust",
    authors: ["The stable-pages authors"],
    description: "A device-mapper target in Rust: protection information",
    license: "GPL v2",
}

struct DmPiRust {
    _target: Registration<Pi>,
}

impl kernel::Module for DmPiRust {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _target: Registration::new(module)?,
        })
    }
}

/// The target.
struct Pi {
    pools: Pools,
    device: Device,
    profile: Profile,
}

impl Pi {
    /// The place at `sector`, with reference tags that count from there, and no application tag.
    fn region(&self, sector: Sector) -> Region<'_> {
        Region::new(&self.device, sector, &self.profile, 0)
    }
}

impl integrity::Target for Pi {
    /// The sector of a read that is to be checked.
    type State = Option<Sector>;

    fn pools(&self) -> &Pools {
        &self.pools
    }
}

#[vtable]
impl Target for Pi {
    type IoData = integrity::IoData<Option<Sector>>;
    const NAME: &'static CStr = c"pi-rust";
    const VERSION: [u32; 3] = [1, 0, 0];
    const FEATURES: Features = Features::PASSES_INTEGRITY;

    fn new(setup: &mut Setup<'_>, args: &[&str]) -> Result<Self, TableError> {
        let &[device] = args else {
            return Err(TableError::invalid(c"one argument: a device"));
        };
        let device = setup
            .open(device)
            .map_err(|error| TableError::failed(c"dev: cannot be opened", error))?;
        let profile = device
            .profile()
            .ok_or(TableError::invalid(c"dev: has no integrity profile"))?;
        let pools = Pools::new(setup, &device)
            .map_err(|error| TableError::failed(c"out of memory", error))?;
        setup.set_num_bios(NumBios::ONE);
        Ok(Self {
            pools,
            device,
            profile,
        })
    }

    fn map(&self, mut io: Io<'_, Self, Submitting>) -> Mapped {
        let sector = io.sector();
        let to = self.region(sector);
        let is_checked = if io.bio().is_data_write() {
            io.generate(&to).map(|()| false)
        } else if io.bio().is_read() {
            io.attach_read_metadata(&to)
        } else {
            Ok(false)
        };
        match is_checked {
            Ok(is_checked) => *io.state() = is_checked.then_some(sector),
            Err(status) => return io.end(status),
        }
        io.send(&to)
    }

    fn end_io(&self, mut io: Io<'_, Self, Completing>, status: Status) -> Ended {
        match *io.state() {
            Some(_) if status.is_ok() => io.defer(),
            _ => io.done(status),
        }
    }

    fn look(&self, mut io: Io<'_, Self, Looking>) -> Looked {
        let checked = match *io.state() {
            Some(sector) => io.verify(&self.region(sector), None),
            None => Ok(0),
        };
        io.done(match checked {
            Ok(0) => Status::OK,
            Ok(_) => Status::PROTECTION,
            Err(status) => status,
        })
    }

    fn device(&self) -> (&Device, Sector) {
        (&self.device, Sector::new(0))
    }

    fn table(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.device.name())
    }

    fn io_hints(&self, limits: &mut QueueLimits) {
        // What comes from above has no payload then.
        limits.hide_integrity();
        limits.set_stable_writes(true);
    }
}
