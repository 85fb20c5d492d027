//! A de-identified side made ready for one release, under the profile that the release is declared to have.
//!
//! What is stored was split by Safe Harbor. A wider profile gives back a little of what the identity side holds, at the
//! places that the patch names and nowhere else, so that names, numbers and free text stay behind under every profile.

use crate::{
    JoinError, Remainder,
    json::{DEPTH_MAX, write_string, write_value},
    patch::{Item, item},
    split::date::{DayNumber, day_number, is_date, year_of},
};
use sonic_rs::{JsonContainerTrait as _, JsonValueTrait as _, Value};

/// The extension that carries a date's distance from the anchor, in days.
pub const DAY_OFFSET_URL: &str = "urn:bxp:fhir:day-offset";

/// By which rule of the Privacy Rule something leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// 45 CFR 164.514(b)(2): of dates the year, of ZIP codes the area.
    SafeHarbor,
    /// 45 CFR 164.514(b)(1): of dates a year that is right to within one, and the days from a secret anchor. Somebody
    /// qualified has to determine that the risk is very small; ADR 46 says what that determination may rely on.
    ExpertDetermination(DayAnchor),
    /// 45 CFR 164.514(e): whole dates and ZIP codes, for research, public health or operations under a data use
    /// agreement. It is still protected health information.
    LimitedDataSet,
}

impl Profile {
    /// The profile's name in configurations, deliveries and reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SafeHarbor => "safe-harbor",
            Self::ExpertDetermination(_) => "expert-determination",
            Self::LimitedDataSet => "limited-data-set",
        }
    }
}

/// Days of the year 2000, from which anchors are drawn.
const ANCHOR_DAYS: u64 = 366;
/// 2000-01-01.
const ANCHOR_FIRST: DayNumber = 10_957;
/// 2000-07-01, for which a reader takes every anchor.
const ANCHOR_SHOWN: DayNumber = ANCHOR_FIRST + 182;

/// The secret day from which the offsets of one patient in one release count: a day of the year 2000, each as likely.
///
/// Every reader may take it for 2000-07-01. A date is then known to within half a year, and all distances are exact. An
/// exact year beside the offset would give the anchor away as soon as two dates stand close to a New Year.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DayAnchor(DayNumber);

impl DayAnchor {
    /// The anchor that 64 random bits choose. They are drawn afresh for each patient and release.
    #[must_use]
    pub const fn from_random(bits: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the remainder is below 366")]
        let day = (bits % ANCHOR_DAYS) as DayNumber;
        Self(ANCHOR_FIRST + day)
    }

    /// Days from the anchor to `day`.
    const fn offset(self, day: DayNumber) -> DayNumber {
        day - self.0
    }
}

/// A secret is not shown in logs.
impl std::fmt::Debug for DayAnchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DayAnchor(redacted)")
    }
}

/// The JSON text that leaves of a resource under `profile`. The two sides are those of one split.
///
/// Under [`Profile::ExpertDetermination`] a date of a whole day leaves as its shown year with the extension
/// [`DAY_OFFSET_URL`]; dates of birth, and dates that name no day, leave as under Safe Harbor.
///
/// # Errors
/// The remainder is damaged, or does not belong to this de-identified side.
pub fn release(identity: &Remainder, deidentified: &Value, profile: &Profile) -> Result<Vec<u8>, JoinError> {
    let parts = identity.parts()?;
    if !parts.belongs_to(deidentified)? {
        return Err(JoinError::Mismatch);
    }
    let mut release = Release { profile, out: Vec::with_capacity(1024) };
    if *profile == Profile::SafeHarbor {
        release.write(deidentified)?;
    } else {
        release.container(parts.patch(), deidentified, DEPTH_MAX)?;
    }
    Ok(release.out)
}

struct Release<'a> {
    profile: &'a Profile,
    out: Vec<u8>,
}

impl Release<'_> {
    fn write(&mut self, value: &Value) -> Result<(), JoinError> {
        write_value(&mut self.out, value).map_err(|_| JoinError::TooDeep)
    }

    fn separate(&mut self, bracket: u8) {
        if self.out.last() != Some(&bracket) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate(b'{');
        write_string(&mut self.out, key);
        self.out.push(b':');
    }

    fn container(&mut self, patch: &[Value], value: &Value, depth: usize) -> Result<(), JoinError> {
        let depth = depth.checked_sub(1).ok_or(JoinError::TooDeep)?;
        match (value.as_object(), value.as_array()) {
            (Some(object), _) => self.object(patch, object.iter(), depth),
            (_, Some(array)) => self.array("", patch, array.iter(), depth).map(drop),
            _ => Err(JoinError::Mismatch),
        }
    }

    fn object<'v>(
        &mut self,
        patch: &[Value],
        mut members: impl Iterator<Item = (&'v str, &'v Value)>,
        depth: usize,
    ) -> Result<(), JoinError> {
        self.out.push(b'{');
        let mut items = patch.iter();
        while let Some(next) = items.next() {
            match item(next)? {
                Item::Take(count) => {
                    for _ in 0..count {
                        let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                        self.key(key);
                        self.write(value)?;
                    }
                }
                // What was removed stays behind.
                Item::Key(_) => {
                    items.next().ok_or(JoinError::Remainder)?;
                }
                Item::Original(original) => {
                    let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                    self.key(key);
                    let offset = self.changed(key, value, original)?;
                    if let Some(days) = offset {
                        self.offsets(key, &[Some(days)], false);
                    }
                }
                Item::Patch(patch) => {
                    let (key, value) = members.next().ok_or(JoinError::Mismatch)?;
                    self.key(key);
                    match value.as_array() {
                        Some(array) => {
                            let offsets = self.array(key, patch, array.iter(), depth)?;
                            if offsets.iter().any(Option::is_some) {
                                self.offsets(key, &offsets, true);
                            }
                        }
                        None => self.container(patch, value, depth)?,
                    }
                }
                Item::Added(_) => return Err(JoinError::Remainder),
            }
        }
        self.out.push(b'}');
        if members.next().is_some() { Err(JoinError::Mismatch) } else { Ok(()) }
    }

    /// Gives the offset of each element that was written.
    fn array<'v>(
        &mut self,
        key: &str,
        patch: &[Value],
        mut elements: impl Iterator<Item = &'v Value>,
        depth: usize,
    ) -> Result<Vec<Option<DayNumber>>, JoinError> {
        let mut offsets = Vec::new();
        self.out.push(b'[');
        for next in patch {
            match item(next)? {
                Item::Take(count) => {
                    for _ in 0..count {
                        self.separate(b'[');
                        self.write(elements.next().ok_or(JoinError::Mismatch)?)?;
                        offsets.push(None);
                    }
                }
                Item::Original(original) => {
                    self.separate(b'[');
                    let value = elements.next().ok_or(JoinError::Mismatch)?;
                    let offset = self.changed(key, value, original)?;
                    offsets.push(offset);
                }
                Item::Added(_) => {}
                Item::Patch(patch) => {
                    self.separate(b'[');
                    self.container(patch, elements.next().ok_or(JoinError::Mismatch)?, depth)?;
                    offsets.push(None);
                }
                Item::Key(_) => return Err(JoinError::Remainder),
            }
        }
        self.out.push(b']');
        if elements.next().is_some() { Err(JoinError::Mismatch) } else { Ok(offsets) }
    }

    /// Writes what leaves of an element that the split had changed. Gives the offset of a date that has one.
    fn changed(
        &mut self,
        key: &str,
        value: &Value,
        original: &Value,
    ) -> Result<Option<DayNumber>, JoinError> {
        if let (Some(kept), Some(text)) = (value.as_str(), original.as_str()) {
            let is_date = is_date(text) && text.get(..4) == Some(kept);
            match self.profile {
                Profile::LimitedDataSet if is_date || key == "postalCode" => {
                    write_string(&mut self.out, text);
                    return Ok(None);
                }
                Profile::ExpertDetermination(anchor) if is_date && key != "birthDate" => {
                    if let Some(day) = day_number(text) {
                        let offset = anchor.offset(day);
                        let year = year_of(ANCHOR_SHOWN.saturating_add(offset));
                        write_string(&mut self.out, &format!("{year:04}"));
                        return Ok(Some(offset));
                    }
                }
                _ => {}
            }
        }
        self.write(value)?;
        Ok(None)
    }

    /// The sibling that carries extensions of a primitive (hl7.org/fhir/R4/json.html#primitive).
    fn offsets(&mut self, key: &str, offsets: &[Option<DayNumber>], repeats: bool) {
        let extension = |days: &DayNumber| {
            format!(r#"{{"extension":[{{"url":"{DAY_OFFSET_URL}","valueInteger":{days}}}]}}"#)
        };
        let texts: Vec<_> =
            offsets.iter().map(|days| days.as_ref().map_or("null".to_owned(), extension)).collect();
        self.key(&format!("_{key}"));
        let text = if repeats { format!("[{}]", texts.join(",")) } else { texts.concat() };
        self.out.extend_from_slice(text.as_bytes());
    }
}
