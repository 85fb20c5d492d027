//! The eighteen identifiers of the Safe Harbor method, 45 CFR 164.514(b)(2)(i)(A)-(R).

/// A kind of identifier that Safe Harbor removes, in the order of the paragraph's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentifierKind {
    /// (A) Names.
    Name,
    /// (B) Geographic subdivisions smaller than a state, but for the first three digits of some ZIP codes.
    Geography,
    /// (C) Elements of dates except the year, and ages over 89.
    Date,
    /// (D) Telephone numbers.
    Telephone,
    /// (E) Fax numbers.
    Fax,
    /// (F) Electronic mail addresses.
    Email,
    /// (G) Social security numbers.
    SocialSecurityNumber,
    /// (H) Medical record numbers.
    MedicalRecordNumber,
    /// (I) Health plan beneficiary numbers.
    HealthPlanNumber,
    /// (J) Account numbers.
    AccountNumber,
    /// (K) Certificate and licence numbers.
    LicenseNumber,
    /// (L) Vehicle identifiers and serial numbers, licence plates.
    Vehicle,
    /// (M) Device identifiers and serial numbers.
    Device,
    /// (N) Web addresses.
    Url,
    /// (O) Internet Protocol addresses.
    IpAddress,
    /// (P) Biometric identifiers, finger and voice prints.
    Biometric,
    /// (Q) Full-face photographs and comparable images.
    Photograph,
    /// (R) Any other unique identifying number, characteristic or code; whatever is not on the list counts as such.
    Other,
}

impl IdentifierKind {
    /// All kinds, (A) to (R).
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Geography,
        Self::Date,
        Self::Telephone,
        Self::Fax,
        Self::Email,
        Self::SocialSecurityNumber,
        Self::MedicalRecordNumber,
        Self::HealthPlanNumber,
        Self::AccountNumber,
        Self::LicenseNumber,
        Self::Vehicle,
        Self::Device,
        Self::Url,
        Self::IpAddress,
        Self::Biometric,
        Self::Photograph,
        Self::Other,
    ];

    /// The letter of the paragraph, `A` to `R`.
    #[must_use]
    pub const fn letter(self) -> char {
        (b'A' + self as u8) as char
    }
}

/// How many elements of each kind were removed or made coarser. Carries no value of any of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed([u32; 18]);

impl Removed {
    /// The number of removed elements of `kind`.
    #[must_use]
    pub const fn count(&self, kind: IdentifierKind) -> u32 {
        self.0[kind as usize]
    }

    /// The kinds that occurred, by letter, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (IdentifierKind, u32)> + '_ {
        IdentifierKind::ALL.into_iter().map(|kind| (kind, self.count(kind))).filter(|&(_, count)| count > 0)
    }

    /// Adds the counts of another split.
    pub fn add_all(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            self.add(kind, count);
        }
    }

    pub(crate) fn add(&mut self, kind: IdentifierKind, count: u32) {
        let slot = &mut self.0[kind as usize];
        *slot = slot.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_run_from_a_to_r() {
        let letters: String = IdentifierKind::ALL.into_iter().map(IdentifierKind::letter).collect();
        assert_eq!(letters, "ABCDEFGHIJKLMNOPQR");
    }

    #[test]
    fn counts_add_up() {
        let mut removed = Removed::default();
        removed.add(IdentifierKind::Name, 2);
        let mut sum = removed;
        sum.add_all(&removed);
        assert_eq!(sum.iter().collect::<Vec<_>>(), [(IdentifierKind::Name, 4)]);
    }
}
