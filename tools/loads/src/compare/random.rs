// SPDX-License-Identifier: GPL-2.0

//! What to call next.

use crate::random::Random;

use super::call::{Call, FDS, PATHS};
use super::side::{Side, RWF_DONTCACHE};

/// No file gets longer by what is written.
const LENGTH: u64 = 512 << 10;

const PAGE: u64 = 4096;

/// The modes of fallocate(2).
const MODES: [i32; 8] = [
    0,
    libc::FALLOC_FL_KEEP_SIZE,
    libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
    libc::FALLOC_FL_ZERO_RANGE,
    libc::FALLOC_FL_ZERO_RANGE | libc::FALLOC_FL_KEEP_SIZE,
    libc::FALLOC_FL_COLLAPSE_RANGE,
    libc::FALLOC_FL_INSERT_RANGE,
    libc::FALLOC_FL_PUNCH_HOLE,
];

/// How files are opened; each with O_CREAT as often as without.
const FLAGS: [i32; 12] = [
    libc::O_RDWR,
    libc::O_RDWR,
    libc::O_RDWR,
    libc::O_RDONLY,
    libc::O_WRONLY,
    libc::O_RDWR | libc::O_APPEND,
    libc::O_WRONLY | libc::O_TRUNC,
    libc::O_RDWR | libc::O_EXCL,
    libc::O_RDWR | libc::O_DIRECT,
    libc::O_RDWR | libc::O_DIRECT,
    libc::O_RDWR | libc::O_DSYNC,
    libc::O_RDONLY | libc::O_DIRECTORY,
];

/// The flags of preadv2(2): none mostly. RWF_NOWAIT asks what is cached, which may differ.
const READS: [i32; 6] = [0, 0, 0, 0, 0, RWF_DONTCACHE];

/// The flags of pwritev2(2). RWF_ATOMIC is refused by a stack, which promises nothing.
const WRITES: [i32; 7] = [0, 0, 0, 0, libc::RWF_APPEND, libc::RWF_DSYNC, RWF_DONTCACHE];

impl Call {
    /// A call that makes sense for what there is.
    pub fn random(random: &mut Random, side: &Side) -> Self {
        let fd = random.below(FDS as u64) as usize;
        if !side.is_open(fd) {
            // There is nothing to do with it but to open something.
            return if random.below(4) == 0 {
                Self::random_name(random)
            } else {
                Self::random_open(random, fd)
            };
        }
        match random.below(100) {
            0..20 => Self::random_name(random),
            20..25 => Self::Close { fd },
            _ => Self::random_file(random, fd, side),
        }
    }

    fn random_open(random: &mut Random, fd: usize) -> Self {
        let mut flags = FLAGS[random.below(FLAGS.len() as u64) as usize];
        if random.below(2) == 0 && flags & libc::O_DIRECTORY == 0 {
            flags |= libc::O_CREAT;
        }
        if random.below(30) == 0 {
            flags = libc::O_RDWR | libc::O_TMPFILE;
        }
        Self::Open {
            fd,
            path: path(random),
            flags,
            mode: mode(random),
        }
    }

    fn random_file(random: &mut Random, fd: usize, side: &Side) -> Self {
        let direct = side.is_direct(fd);
        let other = random.below(FDS as u64) as usize;
        // What is not aligned and direct succeeds where there is a hole and fails where zeroes are
        // written, and a write may be done up to there: which of the two a filesystem chooses.
        let (offset, len) = if direct {
            (
                aligned(offset(random)),
                aligned(length(random)) + PAGE as i64,
            )
        } else {
            (offset(random), length(random))
        };
        let fill = random.next();
        let count = 1 + random.below(4) as usize;
        let ring = random.below(4) == 0;
        match random.below(100) {
            0..16 => Self::Read {
                fd,
                offset,
                len,
                count,
                flags: READS[random.below(READS.len() as u64) as usize],
                ring,
            },
            16..36 => {
                let mut flags = WRITES[random.below(WRITES.len() as u64) as usize];
                // The end is as little aligned as the place of the next read or write.
                if direct {
                    flags &= !libc::RWF_APPEND;
                }
                Self::Write {
                    fd,
                    offset,
                    len,
                    fill,
                    count,
                    flags,
                    ring,
                }
            }
            36..40 if !direct => Self::WriteNext { fd, len, fill },
            40..43 if !direct => Self::ReadNext { fd, len },
            36..43 => Self::Load { fd, offset, len },
            43..47 => Self::Seek {
                fd,
                offset,
                whence: random.below(5) as i32,
            },
            47..52 => Self::Truncate { fd, size: offset },
            52..66 => {
                let mut mode = MODES[random.below(MODES.len() as u64) as usize];
                // A stack cannot tell beforehand, and has taken set-user-ID bits then; btrfs keeps them
                // where there is a hole already.
                let punches = mode & libc::FALLOC_FL_PUNCH_HOLE != 0;
                if side.is_unknown(mode) || punches && side.is_set_id(fd) {
                    mode = 0;
                }
                let shift = libc::FALLOC_FL_COLLAPSE_RANGE | libc::FALLOC_FL_INSERT_RANGE;
                let (offset, len) = if mode & shift != 0 && random.below(8) != 0 {
                    (aligned(offset), aligned(len) + PAGE as i64)
                } else {
                    (offset, len)
                };
                Self::Allocate {
                    fd,
                    mode,
                    offset,
                    len,
                }
            }
            66..69 => Self::Sync {
                fd,
                data: random.below(2) == 0,
            },
            69..72 => {
                // What is read or written is direct if that file is, and ends where the file does
                // that is read: XFS and btrfs do neither then, but share the blocks, which a stack
                // does not.
                let (source, len) = if direct || side.is_direct(other) {
                    let end = aligned(side.size(other));
                    if end == 0 {
                        return Self::Stat { fd };
                    }
                    let source = aligned(offset).min(end - PAGE as i64);
                    (source, (aligned(len) + PAGE as i64).min(end - source))
                } else {
                    (offset, len)
                };
                let at = self::offset(random);
                Self::Copy {
                    from: other,
                    fd,
                    source,
                    offset: if direct { aligned(at) } else { at },
                    len,
                }
            }
            // Pages that are on their way may be those that are written to: from a file to itself,
            // and as long as what reads from a FIFO has not come. A direct write at any offset takes
            // set-user-ID bits also where it is refused.
            72..74 if side.is_same(fd, other) || !side.is_regular(fd) || direct => {
                Self::Stat { fd }
            }
            72..74 => Self::Send {
                from: other,
                fd,
                source: aligned(offset),
                len: aligned(len) + PAGE as i64,
            },
            74..82 => Self::Store {
                fd,
                offset,
                len,
                fill,
                behind: random.below(4) == 0,
                sync: random.below(8) == 0,
            },
            82..86 => Self::Load { fd, offset, len },
            86..88 => Self::Forget { fd },
            88..96 => Self::Stat { fd },
            96..98 => Self::SetTimes {
                fd,
                time: random.below(1_000_000) as i64,
            },
            _ => Self::Mode {
                fd,
                mode: mode(random),
            },
        }
    }

    fn random_name(random: &mut Random) -> Self {
        let path = path(random);
        let other = self::path(random);
        match random.below(100) {
            0..8 => Self::MakeFolder {
                path,
                mode: mode(random) | 0o700,
            },
            8..12 => Self::RemoveFolder { path },
            12..24 => Self::Unlink { path },
            24..38 => Self::Rename {
                path,
                other,
                flags: [0, 0, 0, libc::RENAME_NOREPLACE, libc::RENAME_EXCHANGE]
                    [random.below(5) as usize],
            },
            38..46 => Self::Link { path, other },
            46..50 => Self::Symlink { path, other },
            50..53 => Self::ReadLink { path },
            53..55 => Self::MakeFifo {
                path,
                mode: mode(random),
            },
            55..70 => Self::StatPath {
                path,
                follow: random.below(2) == 0,
            },
            70..74 => Self::List { path },
            74..78 => Self::TruncatePath {
                path,
                size: offset(random),
            },
            78..81 => Self::ModePath {
                path,
                mode: mode(random),
            },
            81..83 => Self::Owner {
                path,
                owner: random.below(3) as u32 * 1000,
                group: random.below(3) as u32 * 1000,
            },
            83..86 => Self::SetTimesPath {
                path,
                time: random.below(1_000_000) as i64,
            },
            86..91 => Self::SetAttribute {
                path,
                name: random.below(3) as usize,
                len: random.below(200) as usize,
                fill: random.next(),
                flags: [0, 0, libc::XATTR_CREATE, libc::XATTR_REPLACE][random.below(4) as usize],
            },
            91..94 => Self::GetAttribute {
                path,
                name: random.below(3) as usize,
            },
            94..96 => Self::ListAttributes { path },
            96..98 => Self::RemoveAttribute {
                path,
                name: random.below(3) as usize,
            },
            _ => Self::Access {
                path,
                mode: random.below(8) as i32,
            },
        }
    }
}

fn path(random: &mut Random) -> usize {
    random.below(PATHS.len() as u64) as usize
}

fn mode(random: &mut Random) -> u32 {
    if random.below(8) == 0 {
        random.below(0o10000) as u32
    } else {
        0o755
    }
}

/// Often at the beginning or the end of a page.
fn offset(random: &mut Random) -> i64 {
    let offset = random.below(LENGTH) as i64;
    match random.below(4) {
        0 => aligned(offset),
        1 => aligned(offset) + random.below(3) as i64,
        _ => offset,
    }
}

fn length(random: &mut Random) -> i64 {
    let limit = [16, PAGE, PAGE * 4, 64 << 10, 128 << 10][random.below(5) as usize];
    random.below(limit) as i64
}

fn aligned(offset: i64) -> i64 {
    offset - offset % PAGE as i64
}
