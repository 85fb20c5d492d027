//! Wrappers whose type says that the value must not be shown.

use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Identifying health data (45 CFR 164.514(b)(2)(i)).
///
/// There is no `Display`, no `Serialize`, and `Debug` is redacted, so that the value cannot reach a log, an error or
/// the wire by accident. It leaves the type only through [`Phi::expose`], which is called where the data is sealed,
/// matched inside its holder, or shown under a permit.
#[derive(Clone, PartialEq, Eq)]
pub struct Phi<T>(T);

impl<T> Phi<T> {
    /// Marks `value` as identifying.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The clear value. Each call site is a place that a privacy review reads.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// Takes the clear value out.
    pub fn into_exposed(self) -> T {
        self.0
    }

    /// Applies `f` without leaving the type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Phi<U> {
        Phi(f(self.0))
    }
}

impl<T> fmt::Debug for Phi<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phi(redacted)")
    }
}

/// Key material: redacted in `Debug`, wiped from memory when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Marks `value` as secret.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The clear value.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_value() {
        let phi = Phi::new("Jane Doe".to_owned());
        let secret = Secret::new(*b"0123456789abcdef");
        assert_eq!(format!("{phi:?} {secret:?}"), "Phi(redacted) Secret(redacted)");
        assert_eq!(phi.map(|name| name.len()).into_exposed(), 8);
    }
}
