// SPDX-License-Identifier: GPL-2.0

//! stable_range: `/dev/stable-range`, which takes a [`StableRange`] of any file and says whether the
//! data changes while it is held.
//!
//! One ioctl, `_IOWR('S', 1, 80 bytes)`, of little-endian fields:
//!
//! | offset | field | |
//! | --- | --- | --- |
//! | 0 | u32 fd | an open file |
//! | 4 | u32 flags | 1: do not protect, to see what happens without |
//! | 8 | u64 start | of the range, in bytes |
//! | 16 | u64 len | |
//! | 24 | u64 hold | microseconds between two checksums |
//! | 32 | u64 len | out: what of the range is within the file |
//! | 40 | u64 first | out: its checksum |
//! | 48 | u64 second | out: its checksum after that time |
//! | 56 | u64 retries | out: how often it changed while it was taken |
//! | 64 | u32 folios | out |
//! | 68 | u32 pinned | out: folios that may be pinned |
//! | 72 | u32 order | out: of the largest folio |
//! | 76 | u32 | 0 |

use kernel::{
    fs::{
        File,
        LocalFile, //
    },
    ioctl::_IOWR,
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    page::PAGE_SIZE,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use stable_pages::mm::{
    Mapping,
    RangeError,
    Sleep,
    StableRange, //
};

module! {
    type: Module,
    name: "stable_range",
    authors: ["The stable-pages authors"],
    description: "Takes a stable range of a file",
    license: "GPL v2",
}

#[pin_data]
struct Module {
    #[pin]
    device: MiscDeviceRegistration<Device>,
}

impl kernel::InPlaceModule for Module {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            device <- MiscDeviceRegistration::register(MiscDeviceOptions {
                name: c"stable-range",
            }),
        })
    }
}

/// The length of the ioctl's argument, and where its second half begins.
const LEN: usize = 80;
const OUT: usize = 32;

#[repr(C, align(8))]
struct Argument([u8; LEN]);

const CHECK: u32 = _IOWR::<Argument>(b'S' as u32, 1);

struct Device;

#[vtable]
impl MiscDevice for Device {
    type Ptr = KBox<Self>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<KBox<Self>> {
        Ok(KBox::new(Self, GFP_KERNEL)?)
    }

    fn ioctl(_device: &Self, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if cmd != CHECK {
            return Err(ENOTTY);
        }
        let mut reader = UserSlice::new(UserPtr::from_addr(arg), OUT).reader();
        let file = LocalFile::fget(reader.read()?)?;
        let request = Request {
            protect: reader.read::<u32>()? & 1 == 0,
            start: reader.read()?,
            len: reader.read()?,
            hold: reader.read()?,
        };
        // User memory is not to be touched while the range is held: it may be in it.
        let found = request.check(&file)?;
        let mut writer = UserSlice::new(UserPtr::from_addr(arg + OUT), LEN - OUT).writer();
        for field in [found.len, found.first, found.second, found.retries] {
            writer.write(&field)?;
        }
        for field in [found.folios, found.pinned, found.order, 0] {
            writer.write(&field)?;
        }
        Ok(0)
    }
}

struct Request {
    protect: bool,
    start: u64,
    len: u64,
    hold: u64,
}

#[derive(Default)]
struct Found {
    len: u64,
    first: u64,
    second: u64,
    retries: u64,
    folios: u32,
    pinned: u32,
    order: u32,
}

impl Request {
    fn check(&self, file: &LocalFile) -> Result<Found> {
        let mapping = Mapping::of(file);
        let end = self.start.checked_add(self.len).ok_or(EINVAL)?;
        let mut page = KVec::from_elem(0, PAGE_SIZE, GFP_KERNEL)?;
        if self.protect {
            self.check_range(mapping, end, file, &mut page)
        } else {
            self.check_unprotected(mapping, end, &mut page)
        }
    }

    fn check_range(
        &self,
        mapping: &Mapping,
        end: u64,
        file: &LocalFile,
        page: &mut [u8],
    ) -> Result<Found> {
        let range = match StableRange::take(mapping, self.start..end, Some(file), Sleep::Killable) {
            Ok(range) => range,
            // A file that ends before is as stable as can be.
            Err(RangeError::Empty) => return Ok(Found::default()),
            Err(error) => return Err(error.into()),
        };
        let place = range.range();
        let mut sum = || checksum(place.clone(), page, |pos, to| range.read(pos, to));
        let first = sum()?;
        self.wait();
        Ok(Found {
            len: place.end - place.start,
            first,
            second: sum()?,
            retries: range.retries().into(),
            folios: range.folios().len() as u32,
            pinned: range.pinned().count() as u32,
            order: range.folios().iter().map(|f| f.order()).max().unwrap_or(0),
        })
    }

    /// The same with nothing but the lock of one folio at a time, as read(2) has it.
    fn check_unprotected(&self, mapping: &Mapping, end: u64, page: &mut [u8]) -> Result<Found> {
        let place = self.start..end.min(mapping.size());
        let mut sum = || {
            checksum(place.clone(), page, |pos, to| {
                let folio = mapping
                    .lock(Mapping::index_of(pos), Sleep::Killable)?
                    .ok_or(ENOENT)?;
                folio.read((pos - folio.pos()) as usize, to)
            })
        };
        let first = sum()?;
        self.wait();
        Ok(Found {
            len: place.end.saturating_sub(place.start),
            first,
            second: sum()?,
            ..Found::default()
        })
    }

    fn wait(&self) {
        fsleep(Delta::from_micros(self.hold.min(1_000_000) as i64));
    }
}

/// FNV-1a over words, page by page.
fn checksum(
    place: core::ops::Range<u64>,
    page: &mut [u8],
    read: impl Fn(u64, &mut [u8]) -> Result,
) -> Result<u64> {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    let mut pos = place.start;
    while pos < place.end {
        let left = PAGE_SIZE - pos as usize % PAGE_SIZE;
        let len = left.min((place.end - pos) as usize);
        let piece = &mut page[..len];
        read(pos, piece)?;
        for word in piece.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            sum = (sum ^ u64::from_le_bytes(bytes)).wrapping_mul(0x100_0000_01b3);
        }
        pos += len as u64;
    }
    Ok(sum)
}
