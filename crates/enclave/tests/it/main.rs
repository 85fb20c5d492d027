//! The enclave as its callers meet it: folders on disk, signatures checked by alloy, keys that do not come out.

mod folder;
mod keys;
mod signing;

use bxp_enclave::Seeds;
use bxp_types::Secret;

/// Keys that are the same in every run.
fn seeds() -> Seeds {
    Seeds { signing: Secret::new([1; 32]), sealing: Secret::new([2; 32]), account: Secret::new([0x46; 32]) }
}

fn passphrase(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}
