// SPDX-License-Identifier: GPL-2.0

//! CRC16 T10-DIF, eight bytes at a time.
//!
//! SBC, "CRC generation": the polynomial is 0x8bb7, most significant bit first, from 0, not
//! inverted.

const POLYNOMIAL: u16 = 0x8bb7;

/// `TABLES[zeros][byte]`: the CRC of `byte` followed by `zeros` zero bytes.
static TABLES: [[u16; 256]; 8] = tables();

/// Continues `crc` over `bytes`.
pub(super) fn update(mut crc: u16, mut bytes: &[u8]) -> u16 {
    let at = |zeros: usize, byte: u8| TABLES[zeros][usize::from(byte)];

    while let Some((&[b0, b1, b2, b3, b4, b5, b6, b7], rest)) = bytes.split_first_chunk() {
        let [c0, c1] = crc.to_be_bytes();
        crc = at(7, b0 ^ c0)
            ^ at(6, b1 ^ c1)
            ^ at(5, b2)
            ^ at(4, b3)
            ^ at(3, b4)
            ^ at(2, b5)
            ^ at(1, b6)
            ^ at(0, b7);
        bytes = rest;
    }
    bytes.iter().fold(crc, |crc, &byte| {
        let [high, low] = crc.to_be_bytes();
        u16::from_be_bytes([low, 0]) ^ at(0, byte ^ high)
    })
}

const fn tables() -> [[u16; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut zeros = 0;
        while zeros < 8 {
            crc = shift_byte(crc);
            tables[zeros][byte] = crc;
            zeros += 1;
        }
        byte += 1;
    }
    tables
}

const fn shift_byte(mut crc: u16) -> u16 {
    let mut bit = 0;
    while bit < 8 {
        let carry = crc & 0x8000 != 0;
        crc <<= 1;
        if carry {
            crc ^= POLYNOMIAL;
        }
        bit += 1;
    }
    crc
}
