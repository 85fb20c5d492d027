//! The proof that nothing identifying left: a scan of the node's own records, or of a folder of FHIR files.

use crate::{
    ClinicalError,
    fhir::CivilDay,
    fhir::definitions::Definitions,
    replicate::holder_permit,
    source::{Entry, InputFile, Limits, Submission, read},
};
use bxp_privacy::{
    Permit, Remainder, Split, SplitContext,
    scan::{Haystack, Scan, ScanReport},
    split, split_text,
};
use bxp_types::{BlockClass, RecordId};
use bxp_vault::{Clock, Vault, VaultError};
use sonic_rs::Value;
use std::{cell::RefCell, collections::HashMap};

/// Records that are opened together.
const RECORDS_PER_STEP: usize = 512;

/// Random names for a corpus that is split outside of a node: the same for all references to one id.
#[derive(Debug, Default)]
pub struct RandomNames(RefCell<Given>);

#[derive(Debug, Default)]
struct Given {
    /// Id -> name.
    names: HashMap<String, String>,
    /// Literal reference -> pseudonym.
    pseudonyms: HashMap<String, String>,
}

impl RandomNames {
    /// The pseudonym of a reference, or of `Type/id`; see `SplitContext::mapping`.
    #[must_use]
    pub fn pseudonym(&self, literal: &str) -> Option<String> {
        let mut given = self.0.borrow_mut();
        if let Some(known) = given.pseudonyms.get(literal) {
            return Some(known.clone());
        }
        let id = literal.rsplit(['/', ':']).next().unwrap_or(literal);
        let kind = literal.rsplit('/').nth(1).and_then(|kind| Definitions::r4().resource_name(kind));
        let name =
            given.names.entry(id.to_owned()).or_insert_with(|| hex::encode(rand::random::<[u8; 16]>()));
        let pseudonym = kind.map_or_else(|| format!("urn:uuid:{name}"), |kind| format!("{kind}/{name}"));
        given.pseudonyms.insert(literal.to_owned(), pseudonym.clone());
        Some(pseudonym)
    }

    /// Splits a resource under these names.
    ///
    /// # Errors
    /// Why it cannot be split.
    pub fn split(&self, resource: &Value, clock: &Clock) -> Result<Split, bxp_privacy::SplitError> {
        let (now_year, _, _) = CivilDay::of_time_ms(clock.now_ms()).civil();
        split(resource, &SplitContext { mapping: &|literal| self.pseudonym(literal), now_year })
    }

    /// As [`RandomNames::split`], from the resource's text to the text that is sealed.
    ///
    /// # Errors
    /// Why it cannot be split.
    pub fn split_text(
        &self,
        resource: &str,
        clock: &Clock,
    ) -> Result<bxp_privacy::SplitText, bxp_privacy::SplitError> {
        let (now_year, _, _) = CivilDay::of_time_ms(clock.now_ms()).civil();
        split_text(resource, &SplitContext { mapping: &|literal| self.pseudonym(literal), now_year })
    }
}

/// Splits every resource of `files` and scans one side for the other; with `against`, scans those files instead of the
/// side that the split gave. Gives the report, and the number of resources that could not be split.
///
/// # Errors
/// A file that cannot be read.
pub fn scan_files(
    files: &[InputFile],
    against: &[InputFile],
    clock: &Clock,
) -> Result<(ScanReport, u64), ClinicalError> {
    let names = RandomNames::default();
    let mut haystack = Haystack::new();
    for_each(against, |entry| {
        haystack.add(entry.resource.expose());
        Ok(())
    })?;
    if against.is_empty() {
        for_each(files, |entry| {
            if let Ok(sides) = names.split(entry.resource.expose(), clock) {
                haystack.add(&sides.deidentified);
            }
            Ok(())
        })?;
    }
    let (mut scan, mut unsplit) = (Scan::new(haystack), 0);
    for_each(files, |entry| {
        if let Some(url) = &entry.full_url {
            scan.look_for_text("Bundle.entry.fullUrl", url.expose());
        }
        match names.split(entry.resource.expose(), clock) {
            Ok(sides) => scan.look_for(sides.identity.expose(), &sides.deidentified)?,
            Err(_) => unsplit += 1,
        }
        Ok(())
    })?;
    Ok((scan.finish(), unsplit))
}

/// Calls `each` with every resource of `files`.
///
/// # Errors
/// A file that cannot be read, or what `each` says.
pub fn for_each(
    files: &[InputFile],
    mut each: impl FnMut(&Entry) -> Result<(), ClinicalError>,
) -> Result<(), ClinicalError> {
    for file in files {
        for submission in read(file, &Limits::default())? {
            let submission: Submission = submission?;
            submission.entries.iter().try_for_each(&mut each)?;
        }
    }
    Ok(())
}

/// Scans all de-identified sides that this node holds for all strings of the identity sides of its own records, under
/// the holder's own permit (45 CFR 164.506(c)(1)).
///
/// # Errors
/// [`ClinicalError::Vault`]; records that are erased meanwhile are left out.
pub fn scan_vault(vault: &Vault, clock: &Clock) -> Result<ScanReport, ClinicalError> {
    let own = own_records(vault)?;
    let mut haystack = Haystack::new();
    for records in own.chunks(RECORDS_PER_STEP) {
        let permit = holder_permit(vault, clock, BlockClass::Deidentified)?;
        for record in records {
            if let Some(rest) = present(vault.open_deidentified(*record, &permit))? {
                haystack.add(&parsed(&rest)?);
            }
        }
    }
    let mut scan = Scan::new(haystack);
    for records in own.chunks(RECORDS_PER_STEP) {
        let permit = holder_permit(vault, clock, BlockClass::Identity(vault.home()))?;
        for record in records {
            look_for(vault, &mut scan, *record, &permit)?;
        }
    }
    Ok(scan.finish())
}

fn own_records(vault: &Vault) -> Result<Vec<RecordId>, ClinicalError> {
    let mut own = Vec::new();
    for row in vault.entries(0) {
        let (_, entry) = row?;
        // What this node took in where it stood before has no identity side here any more.
        if entry.holder == vault.me() && vault.keeps(&entry) {
            own.push(entry.record_id);
        }
    }
    Ok(own)
}

fn look_for(vault: &Vault, scan: &mut Scan, record: RecordId, permit: &Permit) -> Result<(), ClinicalError> {
    if let Some(sides) = present(vault.open_whole_all(&[record], permit))? {
        for (identity, rest) in sides {
            scan.look_for(&Remainder::from_bytes(identity.expose())?, &parsed(&rest)?)?;
        }
    }
    Ok(())
}

/// Parses the text of a resource or of its de-identified side, which was parsed before.
///
/// # Errors
/// [`ClinicalError::Damaged`].
pub fn parsed(text: &[u8]) -> Result<Value, ClinicalError> {
    sonic_rs::from_slice(text).map_err(|_| ClinicalError::Damaged("a de-identified side"))
}

/// Nothing for a record that was erased a moment ago.
fn present<T>(outcome: Result<T, VaultError>) -> Result<Option<T>, ClinicalError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(VaultError::Erased(_) | VaultError::UnknownRecord(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
