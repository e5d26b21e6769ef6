// SPDX-License-Identifier: GPL-2.0

//! Bytes and sectors as people write them.

/// The bytes of a sector, whatever the logical block is.
pub const SECTOR: u64 = 512;

/// `4096`, `4K`, `2M`, `1G`, `1T` (powers of 1024), or `8s` (sectors of 512 bytes): in bytes.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "s" => SECTOR,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        _ => return Err("the suffix is none of s, K, M, G, T".into()),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a number with an optional suffix s, K, M, G or T".into());
    }
    digits
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(unit))
        .ok_or_else(|| "too large".into())
}

/// As [`parse`], of at least one byte.
pub fn parse_positive(text: &str) -> Result<u64, String> {
    match parse(text)? {
        0 => Err("has to be more than 0".into()),
        bytes => Ok(bytes),
    }
}

/// Bytes with one decimal and a binary unit.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Seconds as `1:02:03`, or `2:03` where there are no hours.
pub fn clock(seconds: u64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m}:{s:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn suffixes() {
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("8s"), Ok(4096));
        assert_eq!(parse("4K"), Ok(4096));
        assert_eq!(parse("3T"), Ok(3 << 40));
        for text in [
            "",
            "K",
            "-1",
            "1.5M",
            "4 K",
            "4X",
            "99999999999T",
            "+1",
            "٣",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse_positive("0").is_err());
    }

    #[test]
    fn for_people() {
        assert_eq!(human(1023), "1023 B");
        assert_eq!(human(1536), "1.5 KiB");
        assert_eq!(clock(59), "0:59");
        assert_eq!(clock(3723), "1:02:03");
    }

    proptest! {
        #[test]
        fn whole_units_round_trip(n in 0u64..1 << 20, unit in 0usize..4) {
            let (suffix, factor) = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("s", 512)][unit];
            prop_assert_eq!(parse(&format!("{n}{suffix}")), Ok(n * factor));
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
