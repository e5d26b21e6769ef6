// SPDX-License-Identifier: GPL-2.0

//! I/O goes on when nothing is left but the reserves: the order in which an I/O takes what it needs
//! leads to no deadlock, and other orders do.
//!
//! The worst case is assumed throughout: no allocation succeeds but from a reserve, each reserve is
//! as small as it can be, and there is one worker, the workqueue's rescuer.

use crate::checker::{explore, System};
use std::fmt;

/// What there is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource {
    /// A page for metadata.
    Metadata,
    /// A private bio.
    Bio,
    /// A page for private data.
    Page,
    /// The lock of those that need more than one page.
    Whole,
    /// A worker.
    Worker,
}

use Resource::{Bio, Metadata, Page, Whole, Worker};

/// What an I/O does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It waits for one of these.
    Take(Resource),
    /// It gives one back.
    Give(Resource),
    /// It waits for the device, which answers in any order.
    Device,
    /// It is sent through the mapped device, which takes nothing while it is suspended.
    MappedDevice,
}

use Step::{Device, Give, MappedDevice, Take};

/// An I/O from its mapping to its end.
#[derive(Clone, Copy)]
struct Program {
    name: &'static str,
    steps: &'static [Step],
}

/// A write whose data goes down where it is, or a read; it ends well at once.
const GOES_WELL: Program = Program {
    name: "goes well",
    steps: &[Take(Metadata), Device, Give(Metadata)],
};

/// The same, but a worker looks at it: a write to be compared, or a read to be verified.
const LOOKED_AT: Program = Program {
    name: "looked at",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Give(Metadata),
        Give(Worker),
    ],
};

/// A write that is sent down again, then copied and written in two pieces. A read that is read
/// again does the last part only.
const REPAIRED: Program = Program {
    name: "repaired",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        // Again, in place.
        Take(Bio),
        Device,
        Give(Bio),
        // A piece of the copy.
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        // The other.
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(Metadata),
        Give(Worker),
    ],
};

/// A write that is copied from the start. What one page is not enough for is another I/O.
const COPIED: Program = Program {
    name: "copied",
    steps: &[
        Take(Metadata),
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(Metadata),
    ],
};

/// A write to a zone, which needs two pages at once.
const COPIED_WHOLE: Program = Program {
    name: "copied whole",
    steps: &[
        Take(Metadata),
        Take(Bio),
        Take(Whole),
        Take(Page),
        Take(Page),
        Give(Whole),
        Device,
        Give(Page),
        Give(Page),
        Give(Bio),
        Give(Metadata),
    ],
};

/// An atomic write that changed, which needs two pages at once for its copy.
const REPAIRED_WHOLE: Program = Program {
    name: "repaired whole",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Take(Bio),
        Take(Whole),
        Take(Page),
        Take(Page),
        Give(Whole),
        Device,
        Give(Page),
        Give(Page),
        Give(Bio),
        Give(Metadata),
        Give(Worker),
    ],
};

const ALL: [Program; 6] = [
    GOES_WELL,
    LOOKED_AT,
    REPAIRED,
    COPIED,
    COPIED_WHOLE,
    REPAIRED_WHOLE,
];

/// A mapped device under I/O that is suspended and resumed once, and whose policy changes once.
struct Target {
    /// What an I/O may be, with each policy.
    policies: [Vec<Program>; 2],
    ios: u8,
    metadata: u8,
    bios: u8,
    pages: u8,
}

/// What device mapper does with new I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// It maps it; there is a suspend to come.
    Running,
    /// It holds it back, and waits for what was mapped to end.
    Suspending,
    /// It holds it back.
    Suspended,
    /// It maps it, for good.
    Resumed,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    /// I/Os that are still to come.
    left: u8,
    /// The program of each mapped I/O, and its next step; in order, since it does not matter which
    /// is which.
    ios: Vec<(&'static str, &'static [StepKey])>,
    phase: Phase,
    policy: usize,
}
