//! Departures: a node that the directory moves out of a country deletes what it has of that country's identity blocks, and
//! proves it to the others, who keep its statement.

use crate::{
    Directory, RecordEntry, Statement, Vault, VaultError, encoding,
    statement::{STATEMENT_BLOCKS_MAX, STATEMENT_DOMAIN},
    tables::{Tables, block_of_key, pair},
};
use bxp_storage::{Batch, Durability, Table};
use bxp_types::{Digest, Jurisdiction, ValidatorIndex};
use cid::Cid;
use ed25519_zebra::VerificationKey;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeSet;

const WHAT: &str = "departure";

/// That a node left a country, and what it has proven of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Who left.
    pub node: ValidatorIndex,
    /// Which country.
    pub country: Jurisdiction,
    /// The height of the directory by which it stands there no more.
    pub height: u64,
    /// When this node learned of it, in milliseconds since the epoch.
    pub noted_ms: u64,
    /// The blocks that the statements here name.
    pub deleted: u64,
    /// When the node signed that nothing is left; none while it owes that.
    pub proven_ms: Option<u64>,
    /// What the node files of it with the chain: SHA-256 over all parts of its statement, in their order, as they are here.
    /// None while the last one is not.
    pub proof: Option<Digest>,
    /// Records of the country that are known here, were placed on the node when it left, and that its statements do not
    /// name. Copies that never reached it are among them. Counted for nodes of the country.
    pub unnamed: u64,
}

/// What a node has to file with the chain for a country that it left and has deleted everything of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletionProof {
    /// The country.
    pub country: Jurisdiction,
    /// The height of the directory by which the node stands there no more.
    pub height: u64,
    /// How many blocks its statement names.
    pub blocks: u64,
    /// SHA-256 over all parts of the statement, in their order.
    pub digest: Digest,
}

/// A row of the table of departures.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) height: u64,
    #[serde(rename = "notedMs")]
    pub(crate) noted_ms: u64,
    /// Records with lower numbers of arrival were here.
    pub(crate) next: u64,
    /// The directory by which the node stood in the country.
    pub(crate) before: ByteBuf,
}

/// The countries that `node` left and has not signed for to the end, each with the number of its statement's next part.
pub(crate) fn unfinished(
    tables: &Tables,
    node: ValidatorIndex,
) -> Result<Vec<(Jurisdiction, u32)>, VaultError> {
    let mut countries = Vec::new();
    for row in tables.departures.iter_prefix(node.0.to_be_bytes()) {
        let (key, row) = row?;
        let (_, country) = read_key(&key)?;
        let row: Row = encoding::decode(WHAT, &row)?;
        let statements = statements(tables, node, country, row.height)?;
        if last_of(&statements).is_none() {
            countries.push((country, statements.last().map_or(0, |newest| newest.part + 1)));
        }
    }
    Ok(countries)
}

pub(crate) fn key(node: ValidatorIndex, country: Jurisdiction) -> Vec<u8> {
    pair(&node.0.to_be_bytes(), country.as_str().as_bytes())
}

/// Reads what [`key`] writes, and no other spelling of the country.
pub(crate) fn read_key(key: &[u8]) -> Result<(ValidatorIndex, Jurisdiction), VaultError> {
    const DAMAGED: VaultError = VaultError::Malformed(WHAT);
    let (node, country) = key.split_first_chunk::<2>().ok_or(DAMAGED)?;
    let country = country.try_into().ok().and_then(Jurisdiction::from_letters).ok_or(DAMAGED)?;
    Ok((ValidatorIndex(u16::from_be_bytes(*node)), country))
}

fn part_key(node: ValidatorIndex, country: Jurisdiction, height: u64, part: u32) -> Vec<u8> {
    [key(node, country).as_slice(), &height.to_be_bytes(), &part.to_be_bytes()].concat()
}

/// The parts of a departure's statement, in their order.
fn statements(
    tables: &Tables,
    node: ValidatorIndex,
    country: Jurisdiction,
    height: u64,
) -> Result<Vec<Statement>, VaultError> {
    let prefix = pair(&key(node, country), &height.to_be_bytes());
    tables.statements.iter_prefix(prefix).map(|row| Statement::decode(&row?.1)).collect()
}

/// The blocks that these parts name.
fn named(statements: &[Statement]) -> BTreeSet<Cid> {
    statements.iter().flat_map(|statement| &statement.blocks).copied().collect()
}

/// The last part of a whole statement; none while it is missing. Parts arrive in their order, so that it stands for all.
fn last_of(statements: &[Statement]) -> Option<&Statement> {
    statements.last().filter(|newest| newest.last)
}

/// The hash of a whole statement; none while its last part is missing. Every node that has the parts comes to the same.
fn digest(statements: &[Statement]) -> Result<Option<Digest>, VaultError> {
    if last_of(statements).is_none() {
        return Ok(None);
    }
    let parts = statements.iter().map(Statement::encode).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Digest::of(&parts.concat())))
}

impl Vault {
    /// Notes who left a country between two directories, and forgets what is owed by who is back before it had deleted
    /// everything.
    pub(crate) fn note_moves(
        &self,
        batch: &mut Batch,
        before: &Directory,
        now: &Directory,
    ) -> Result<(), VaultError> {
        for member in before.members() {
            if now.country(member.validator) != Some(member.country) {
                let row = Row {
                    height: now.height,
                    noted_ms: self.clock.now_ms(),
                    next: self.arrivals.next(),
                    before: ByteBuf::from(before.encode()?),
                };
                let row = encoding::encode(WHAT, &row)?;
                batch.put(&self.tables.departures, key(member.validator, member.country), row);
            }
        }
        for member in now.members() {
            let back = before.country(member.validator) != Some(member.country);
            if back
                && unfinished(&self.tables, member.validator)?
                    .iter()
                    .any(|(country, _)| *country == member.country)
            {
                batch.remove(&self.tables.departures, key(member.validator, member.country));
            }
        }
        Ok(())
    }

    /// Adds what was deleted to this node's statement of its departure from `country`. Gives the number of new parts.
    pub(crate) fn stage_statements(
        &self,
        batch: &mut Batch,
        country: Jurisdiction,
        blocks: &[Cid],
    ) -> Result<u32, VaultError> {
        let Some(leaving) = self.keeping.leaving(country) else { return Ok(0) };
        let mut part = leaving.part;
        for blocks in blocks.chunks(STATEMENT_BLOCKS_MAX) {
            self.stage_statement(batch, country, part, blocks.to_vec(), false)?;
            part += 1;
        }
        Ok(part - leaving.part)
    }

    fn stage_statement(
        &self,
        batch: &mut Batch,
        country: Jurisdiction,
        part: u32,
        blocks: Vec<Cid>,
        last: bool,
    ) -> Result<(), VaultError> {
        let row = self.departure_row(self.me, country)?.ok_or(VaultError::Malformed(WHAT))?;
        let (node, height, time_ms) = (self.me, row.height, self.clock.now_ms());
        let mut statement =
            Statement { node, country, height, part, last, time_ms, blocks, signature: [0; 64] };
        statement.signature = self.enclave.sign_message(STATEMENT_DOMAIN, &statement.message());
        self.put_statement(batch, &statement)
    }

    fn put_statement(&self, batch: &mut Batch, statement: &Statement) -> Result<(), VaultError> {
        let key = part_key(statement.node, statement.country, statement.height, statement.part);
        batch.put(&self.tables.statements, key, statement.encode()?);
        Ok(())
    }

    fn departure_row(&self, node: ValidatorIndex, country: Jurisdiction) -> Result<Option<Row>, VaultError> {
        let row = self.tables.departures.get(key(node, country))?;
        row.map(|row| encoding::decode(WHAT, &row)).transpose()
    }

    /// Signs that nothing of the identity blocks of `country`, which this node has left, is here any more. It is on disk
    /// when this returns.
    ///
    /// # Errors
    /// [`VaultError::StillHeld`] for a record whose block or key is here; [`VaultError::Storage`].
    pub fn finish_departure(&self, country: Jurisdiction) -> Result<(), VaultError> {
        let _turn = self.keeping.turn.lock();
        let Some(leaving) = self.keeping.leaving(country) else { return Ok(()) };
        let _sealing = self.sealing();
        if let Some(cid) = self.held_of(country, &leaving.blocks)? {
            return Err(VaultError::StillHeld(cid));
        }
        let mut batch = self.store.batch();
        self.stage_statement(&mut batch, country, leaving.part, Vec::new(), true)?;
        batch.commit(Durability::Synced)?;
        self.keeping.set_left(country);
        Ok(())
    }

    /// Whether neither blocks nor keys of identity sides of `country`, which this node has left, are here.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn has_nothing_of(&self, country: Jurisdiction) -> Result<bool, VaultError> {
        let Some(leaving) = self.keeping.leaving(country) else { return Ok(true) };
        Ok(self.held_of(country, &leaving.blocks)?.is_none())
    }

    fn held_of(&self, country: Jurisdiction, blocks: &Table) -> Result<Option<Cid>, VaultError> {
        if let Some(row) = blocks.iter().next() {
            return block_of_key(&row?.0).map(Some);
        }
        for row in self.all_entries() {
            let (_, entry) = row?;
            if entry.home == country && self.has_key(&entry.identity_cid)? {
                return Ok(Some(entry.identity_cid));
            }
        }
        Ok(None)
    }

    /// Every departure that is known here, and what has been proven of it.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn departures(&self) -> Result<Vec<Departure>, VaultError> {
        let mut departures = Vec::new();
        for row in self.tables.departures.iter() {
            let (key, row) = row?;
            let (node, country) = read_key(&key)?;
            let row: Row = encoding::decode(WHAT, &row)?;
            let statements = statements(&self.tables, node, country, row.height)?;
            let named = named(&statements);
            departures.push(Departure {
                node,
                country,
                height: row.height,
                noted_ms: row.noted_ms,
                deleted: named.len() as u64,
                proven_ms: last_of(&statements).map(|last| last.time_ms),
                proof: digest(&statements)?,
                unnamed: if country == self.home { self.unnamed(node, &row, &named)? } else { 0 },
            });
        }
        Ok(departures)
    }

    /// What this node has to prove and can: of each country that it left, when nothing of it is here any more. Departures
    /// from a country at a height that are `settled` are left out, before anything of them is read.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn deletion_proofs(
        &self,
        settled: impl Fn(Jurisdiction, u64) -> bool,
    ) -> Result<Vec<DeletionProof>, VaultError> {
        let mut proofs = Vec::new();
        for row in self.tables.departures.iter_prefix(self.me.0.to_be_bytes()) {
            let (key, row) = row?;
            let (_, country) = read_key(&key)?;
            let Row { height, .. } = encoding::decode(WHAT, &row)?;
            if settled(country, height) || self.keeping.leaving(country).is_some() {
                continue;
            }
            let statements = statements(&self.tables, self.me, country, height)?;
            if let Some(digest) = digest(&statements)? {
                let blocks = named(&statements).len() as u64;
                proofs.push(DeletionProof { country, height, blocks, digest });
            }
        }
        Ok(proofs)
    }

    fn unnamed(&self, node: ValidatorIndex, row: &Row, named: &BTreeSet<Cid>) -> Result<u64, VaultError> {
        let before = Directory::decode(&row.before)?;
        let mut count = 0;
        for entry in self.all_entries() {
            let (number, entry): (u64, RecordEntry) = entry?;
            if number >= row.next {
                break;
            }
            let placed = entry.home == self.home && before.keeps(node, &entry);
            count += u64::from(placed && !named.contains(&entry.identity_cid));
        }
        Ok(count)
    }

    /// Parts of this node's own statements that `to` has not acknowledged, `parts_max` of them at most, oldest first.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn statements_for(&self, to: ValidatorIndex, parts_max: usize) -> Result<Vec<Statement>, VaultError> {
        let mut waiting = Vec::new();
        for row in self.tables.statements.iter_prefix(self.me.0.to_be_bytes()) {
            let (key, statement) = row?;
            if waiting.len() == parts_max {
                break;
            }
            if !self.tables.stated.contains(pair(&to.0.to_be_bytes(), &key))? {
                waiting.push(Statement::decode(&statement)?);
            }
        }
        Ok(waiting)
    }

    /// Notes that `to` has taken in this part of a statement of this node. Losing the note costs sending it again.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn note_stated(&self, to: ValidatorIndex, statement: &Statement) -> Result<(), VaultError> {
        let key = part_key(statement.node, statement.country, statement.height, statement.part);
        let mut batch = self.store.batch();
        batch.put(&self.tables.stated, pair(&to.0.to_be_bytes(), &key), []);
        Ok(batch.commit(Durability::Buffered)?)
    }

    /// Takes in a part of the statement of node `from`; `key_of` is its key. It is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError::InvalidStatement`] when it is another node's, not signed, the part after a gap, or for a departure
    /// that is not known here, which the sender's directory may know before this node's.
    pub fn accept_statement(
        &self,
        from: ValidatorIndex,
        statement: &Statement,
        key_of: &VerificationKey,
    ) -> Result<(), VaultError> {
        let (node, country) = (statement.node, statement.country);
        let invalid = VaultError::InvalidStatement { node: from, country };
        let row = self.departure_row(node, country)?;
        let known = row.is_some_and(|row| row.height == statement.height);
        if node != from || !known || !statement.verify(key_of) {
            return Err(invalid);
        }
        let part = |part: u32| -> Result<Option<Statement>, VaultError> {
            let row = self.tables.statements.get(part_key(node, country, statement.height, part))?;
            row.map(|row| Statement::decode(&row)).transpose()
        };
        match part(statement.part)? {
            Some(same) if same == *statement => return Ok(()),
            Some(_) => return Err(invalid),
            None => {}
        }
        // In their order, and nothing after the last.
        let follows = match statement.part.checked_sub(1) {
            None => true,
            Some(before) => part(before)?.is_some_and(|before| !before.last),
        };
        if !follows {
            return Err(invalid);
        }
        let mut batch = self.store.batch();
        self.put_statement(&mut batch, statement)?;
        Ok(batch.commit(Durability::Synced)?)
    }
}

#[cfg(test)]
mod tests;
