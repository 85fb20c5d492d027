//! The forks' names in test files.

use alloy_eips::eip7840::BlobParams;
use revm::primitives::hardfork::SpecId;

/// The fork of this name with its limits on blobs; none for one that the EVM does not run.
pub(crate) fn named(name: &str) -> Option<(SpecId, BlobParams)> {
    Some(match name {
        "Frontier" => (SpecId::FRONTIER, BlobParams::cancun()),
        "Homestead" => (SpecId::HOMESTEAD, BlobParams::cancun()),
        "EIP150" | "TangerineWhistle" => (SpecId::TANGERINE, BlobParams::cancun()),
        "EIP158" | "SpuriousDragon" => (SpecId::SPURIOUS_DRAGON, BlobParams::cancun()),
        "Byzantium" => (SpecId::BYZANTIUM, BlobParams::cancun()),
        "ConstantinopleFix" | "Petersburg" => (SpecId::PETERSBURG, BlobParams::cancun()),
        "Istanbul" | "MuirGlacier" => (SpecId::ISTANBUL, BlobParams::cancun()),
        "Berlin" => (SpecId::BERLIN, BlobParams::cancun()),
        "London" | "ArrowGlacier" | "GrayGlacier" => (SpecId::LONDON, BlobParams::cancun()),
        "Merge" | "Paris" => (SpecId::MERGE, BlobParams::cancun()),
        "Shanghai" => (SpecId::SHANGHAI, BlobParams::cancun()),
        "Cancun" => (SpecId::CANCUN, BlobParams::cancun()),
        "Prague" => (SpecId::PRAGUE, BlobParams::prague()),
        "Osaka" => (SpecId::OSAKA, BlobParams::osaka()),
        "BPO1" => (SpecId::OSAKA, BlobParams::bpo1()),
        "BPO2" => (SpecId::OSAKA, BlobParams::bpo2()),
        "Amsterdam" => (SpecId::AMSTERDAM, BlobParams::bpo2()),
        _ => return None,
    })
}
