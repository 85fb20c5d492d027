//! What the content store reads from its disk: rows of blocks and publications, and the file with the swarm's key.

use super::content::block;
use bxp_content::{PeerId, Publication, Reader, Terms, bitswap::read_swarm_key, fuzz};
use bxp_enclave::Enclave;
use bxp_privacy::Purpose;
use bxp_types::{Address, SubjectId};
use std::{fs, path::Path, sync::LazyLock};

const PATIENT: SubjectId = SubjectId([4; 16]);
/// Another who has no key.
const FORGOTTEN: SubjectId = SubjectId([5; 16]);
const CONTENT: &[u8] = b"a de-identified record";

/// An enclave whose folder is gone: what is sealed and opened here needs no more than the keys in memory.
static ENCLAVE: LazyLock<Enclave> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("bxp-fuzz-{}", std::process::id()));
    // Left by a process that had the same number.
    remove(&folder);
    let enclave = Enclave::create(&folder.join("enclave"), None, None).expect("make keys");
    enclave.ensure_patients(&[PATIENT.0]).expect("make the key of a patient");
    remove(&folder);
    enclave
});

fn remove(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("remove a folder of keys");
    }
}

/// A row has one form, and none but what the enclave sealed opens.
pub(crate) fn rows(bytes: &[u8]) {
    read(bytes);
}

/// Whether the bytes are a row of any kind.
fn read(bytes: &[u8]) -> bool {
    let block = block(CONTENT);
    let publication = fuzz::publication(*block.cid(), bytes);
    if let Ok(publication) = &publication {
        assert_eq!(fuzz::publication_row(publication).ok().as_deref(), Some(bytes));
    }
    let opened = fuzz::block(&ENCLAVE, block.cid(), bytes);
    if let Ok(Some(opened)) = &opened {
        assert_eq!(&opened[..], CONTENT, "nobody without the keys makes a row that opens");
    }
    let size = fuzz::size(bytes);
    if let Ok(size) = &size {
        assert_eq!(&size.to_be_bytes()[4..], bytes);
    }
    let record = fuzz::record(bytes);
    if let Ok(record) = &record {
        assert_eq!(record.map(|record| record.0.to_vec()).unwrap_or_default(), bytes);
    }
    publication.is_ok() || opened.is_ok() || size.is_ok() || record.is_ok()
}

/// The text of a swarm's key is read by who writes it anew.
pub(crate) fn swarm_key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = read_swarm_key(text) {
        let again = read_swarm_key(&swarm_key_of(*key.expose())).expect("an own file is read");
        assert_eq!(again.expose(), key.expose());
    }
}

/// As `bxp_content::bitswap::new_swarm_key` writes a key that it draws.
fn swarm_key_of(key: [u8; 32]) -> String {
    format!("/key/swarm/psk/1.0.0/\n/base16/\n{}\n", alloy_primitives::hex::encode(key))
}

pub(crate) fn swarm_keys() -> Vec<Vec<u8>> {
    let text = swarm_key_of([0xa7; 32]);
    vec![text.replace('\n', "\r\n").into(), text.trim_end().into(), text.into()]
}

fn publications() -> Vec<Publication> {
    let root = *block(CONTENT).cid();
    let peer: PeerId =
        "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA".parse().expect("the id of a peer");
    let readers = vec![Reader::Peer(peer), Reader::of_token("token")];
    let of = |purpose, readers| Publication {
        root,
        terms: Terms { purpose, until_s: 1_900_000_000 },
        readers,
        made_s: 1_800_000_000,
    };
    vec![
        of(Purpose::Research { request: Address::repeat_byte(0xab) }, readers.clone()),
        of(Purpose::Oversight, readers),
        of(Purpose::Treatment, Vec::new()),
    ]
}

pub(crate) fn sealed_rows() -> Vec<Vec<u8>> {
    let block = block(CONTENT);
    let rows = [None, Some(PATIENT)].map(|patient| fuzz::block_row(&ENCLAVE, &block, patient));
    let [of_master, of_patient] = rows.map(|row| row.expect("seal a block"));
    let mut of_forgotten = of_patient.clone();
    of_forgotten[1..=16].copy_from_slice(&FORGOTTEN.0);
    let publications = publications().into_iter().filter_map(|one| fuzz::publication_row(&one).ok());
    let sealed =
        [of_master, of_patient, of_forgotten, 300_u32.to_be_bytes().to_vec(), vec![1; 16], Vec::new()];
    publications.chain(sealed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_keys_are_read() {
        let rows = sealed_rows();
        assert_eq!(rows.len(), 9);
        assert!(rows.iter().all(|row| read(row)));
        let block = block(CONTENT);
        let opened: Vec<bool> =
            rows[3..6].iter().map(|row| fuzz::block(&ENCLAVE, block.cid(), row).unwrap().is_some()).collect();
        assert_eq!(opened, [true, true, false]);
        assert!(swarm_keys().iter().all(|text| read_swarm_key(std::str::from_utf8(text).unwrap()).is_ok()));
    }
}
