//! Finds the manifest's section in an ELF file.

use bartizan_plugin::manifest::{MAX_BYTES, SECTION, trim};
use object::{
    Endianness, ReadRef, elf,
    read::elf::{ElfFile64, FileHeader, SectionHeader},
};

/// Why a file is not a plugin for this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// There is nothing in it, as when a copy was cut short.
    #[error("an empty file")]
    Empty,
    /// It begins otherwise than an ELF file.
    #[error("not an ELF file")]
    NotElf,
    /// It is for machines of another word size.
    #[error("a 32-bit file, this machine needs 64-bit")]
    Class,
    /// It is for another kind of processor.
    #[error("made for another processor (ELF machine {found}, this one is {expected})")]
    Machine {
        /// What the file says.
        found: u16,
        /// What this machine is.
        expected: u16,
    },
    /// A program or an object file, say.
    #[error("an ELF file, but not a shared object")]
    NotShared,
    /// It ends before what it announces.
    #[error("truncated or damaged ELF file")]
    Truncated,
    /// A shared object that is no plugin.
    #[error("no section `{SECTION}`: not a Bartizan plugin")]
    NoManifest,
    /// The section is longer than any manifest may be.
    #[error("section `{SECTION}` has {len} bytes, at most {MAX_BYTES} are read")]
    TooLong {
        /// Its length in bytes.
        len: u64,
    },
}

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64.0;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64.0;
#[cfg(target_arch = "riscv64")]
const MACHINE: u16 = elf::EM_RISCV.0;

/// The bytes of the manifest, without the zeros that end its section.
///
/// `data` may be a file read piece by piece: only headers, section names and the
/// section itself are touched.
pub fn read_section<'data, R: ReadRef<'data>>(data: R) -> Result<Vec<u8>, ElfError> {
    let magic = data.read_bytes_at(0, 5).map_err(|()| too_short(data))?;
    match magic {
        [0x7f, b'E', b'L', b'F', class] if *class == elf::ELFCLASS64.0 => {}
        [0x7f, b'E', b'L', b'F', class] if *class == elf::ELFCLASS32.0 => {
            return Err(ElfError::Class);
        }
        _ => return Err(ElfError::NotElf),
    }
    let header = elf::FileHeader64::<Endianness>::parse(data).map_err(|_| ElfError::Truncated)?;
    let endian = header.endian().map_err(|_| ElfError::Truncated)?;
    let found = header.e_machine(endian).0;
    if found != MACHINE {
        return Err(ElfError::Machine { found, expected: MACHINE });
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err(ElfError::NotShared);
    }
    let file = ElfFile64::<Endianness, R>::parse(data).map_err(|_| ElfError::Truncated)?;
    let sections = file.elf_section_table();
    let (_, section) =
        sections.section_by_name(endian, SECTION.as_bytes()).ok_or(ElfError::NoManifest)?;
    let len = section.sh_size(endian);
    if len > MAX_BYTES as u64 {
        return Err(ElfError::TooLong { len });
    }
    let bytes = section.data(endian, data).map_err(|_| ElfError::Truncated)?;
    Ok(trim(bytes).to_vec())
}

/// A file of less than five bytes: the start of an ELF file, or not even that.
fn too_short<'data, R: ReadRef<'data>>(data: R) -> ElfError {
    match data.len() {
        Ok(0) => ElfError::Empty,
        Ok(len @ 1..5) => match data.read_bytes_at(0, len) {
            Ok(bytes) if b"\x7fELF".starts_with(bytes) => ElfError::Truncated,
            _ => ElfError::NotElf,
        },
        _ => ElfError::NotElf,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test should stop")]
    use super::*;

    /// This test's own executable: a real ELF file, position independent, and no plugin.
    fn own_file() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn every_kind_of_wrong_file_has_its_own_reason() {
        let whole = own_file();
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            read_section(&*bytes).unwrap_err()
        };
        assert_eq!(read_section(&b""[..]).unwrap_err(), ElfError::Empty);
        assert_eq!(read_section(&b"#!/bin/sh\n"[..]).unwrap_err(), ElfError::NotElf);
        assert_eq!(read_section(&b"\x7fEL"[..]).unwrap_err(), ElfError::Truncated);
        assert_eq!(read_section(&whole[..40]).unwrap_err(), ElfError::Truncated);
        assert_eq!(read_section(&whole[..whole.len() / 2]).unwrap_err(), ElfError::Truncated);
        assert_eq!(with(4, 1), ElfError::Class);
        assert_eq!(with(16, 2), ElfError::NotShared, "ET_EXEC");
        let machine = with(18, 40);
        assert_eq!(machine, ElfError::Machine { found: 40, expected: MACHINE });
        assert_eq!(read_section(&*whole).unwrap_err(), ElfError::NoManifest);
    }

    #[test]
    fn damaged_files_are_refused_and_never_crash() {
        let whole = own_file();
        let mut random = fastrand::Rng::with_seed(7);
        // The section headers stand at the end and their number in the header: damage both.
        for _ in 0..200 {
            let mut head = whole[..64].to_vec();
            for _ in 0..3 {
                head[random.usize(16..64)] = random.u8(..);
            }
            let mut bytes = whole[whole.len().saturating_sub(100_000)..].to_vec();
            bytes[..64].copy_from_slice(&head);
            assert!(read_section(&*bytes).is_err());
        }
    }
}
