// SPDX-License-Identifier: GPL-2.0

//! CRC64 of the NVM Command Set, eight bytes at a time.
//!
//! NVM Command Set Specification, "64b CRC": the polynomial is 0xad93d23594c93659, here with its
//! bits reversed, since data goes least significant bit first; inverted before and after.

const POLYNOMIAL: u64 = 0xad93_d235_94c9_3659_u64.reverse_bits();

/// `TABLES[zeros][byte]`: the raw CRC of `byte` followed by `zeros` zero bytes.
static TABLES: [[u64; 256]; 8] = tables();

/// Continues `crc` over `bytes`.
pub(super) fn update(crc: u64, mut bytes: &[u8]) -> u64 {
    let at = |zeros: usize, byte: u8| TABLES[zeros][usize::from(byte)];

    let mut raw = !crc;
    while let Some((&chunk, rest)) = bytes.split_first_chunk() {
        let [b0, b1, b2, b3, b4, b5, b6, b7] = (raw ^ u64::from_le_bytes(chunk)).to_le_bytes();
        raw = at(7, b0)
            ^ at(6, b1)
            ^ at(5, b2)
            ^ at(4, b3)
            ^ at(3, b4)
            ^ at(2, b5)
            ^ at(1, b6)
            ^ at(0, b7);
        bytes = rest;
    }
    !bytes
        .iter()
        .fold(raw, |raw, &byte| (raw >> 8) ^ at(0, byte ^ raw as u8))
}

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut raw = byte as u64;
        let mut zeros = 0;
        while zeros < 8 {
            raw = shift_byte(raw);
            tables[zeros][byte] = raw;
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

const fn shift_byte(mut raw: u64) -> u64 {
    let mut bit = 0;
    while bit < 8 {
        let carry = raw & 1 != 0;
        raw >>= 1;
        if carry {
            raw ^= POLYNOMIAL;
        }
        bit += 1;
    }
    raw
}
