//! What a Bartizan collector plugin is: the C ABI and the manifest.

pub mod abi;
pub mod manifest;
