// SPDX-License-Identifier: GPL-2.0

//! What the target's I/O takes and gives back, in its order.

use super::target::*;

/// A write whose data goes down where it is, or a read; it ends well at once.
pub(super) const GOES_WELL: Program = Program {
    name: "goes well",
    steps: &[Take(Metadata), Device, Give(Metadata)],
};

/// The same, but a worker looks at it: a write to be compared, or a read to be verified.
pub(super) const LOOKED_AT: Program = Program {
    name: "looked at",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Give(Metadata),
        Give(Worker),
    ],
};

/// A read that does not match, and is read again; then it waits for writes and is read once more.
pub(super) const READ_AGAIN: Program = Program {
    name: "read again",
    steps: &[
        Take(Metadata),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Rereader),
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Writes,
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(Metadata),
        Give(Rereader),
    ],
};

/// A read that went down without room for metadata, was rejected below, and is read again as often as
/// that may be.
pub(super) const REJECTED_BELOW: Program = Program {
    name: "rejected below",
    steps: &[
        Device,
        Take(Worker),
        Give(Worker),
        Take(Rereader),
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Writes,
        Take(Bio),
        Take(Page),
        Device,
        Give(Page),
        Give(Bio),
        Give(Rereader),
    ],
};

/// A write that is sent down again, then copied and written in two pieces.
pub(super) const REPAIRED: Program = Program {
    name: "repaired",
    steps: &[
        Take(Metadata),
        Take(InFlight),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Repairer),
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
        Give(InFlight),
        Give(Metadata),
        Give(Repairer),
    ],
};

/// A write that is copied from the start. What one page is not enough for is another I/O.
pub(super) const COPIED: Program = Program {
    name: "copied",
    steps: &[
        Take(Metadata),
        Take(Bio),
        Take(Page),
        Take(InFlight),
        Device,
        Give(Page),
        Give(Bio),
        Give(InFlight),
        Give(Metadata),
    ],
};

/// A write to a zone, which needs two pages at once.
pub(super) const COPIED_WHOLE: Program = Program {
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
pub(super) const REPAIRED_WHOLE: Program = Program {
    name: "repaired whole",
    steps: &[
        Take(Metadata),
        Take(InFlight),
        Device,
        Take(Worker),
        Give(Worker),
        Take(Repairer),
        Take(Bio),
        Take(Whole),
        Take(Page),
        Take(Page),
        Give(Whole),
        Device,
        Give(Page),
        Give(Page),
        Give(Bio),
        Give(InFlight),
        Give(Metadata),
        Give(Repairer),
    ],
};
