//! Licence expressions (SPDX) against the allow-list.

/// Whether `expression` can be satisfied with licences of `allowed` alone. The slash of old manifests means `OR`.
/// An expression that cannot be read is not satisfied.
pub(crate) fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    parser.any_of() == Some(true) && parser.tokens.is_empty()
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [String],
}

impl Parser<'_> {
    fn take(&mut self, word: &str) -> bool {
        let found = self.tokens.first().is_some_and(|token| token.eq_ignore_ascii_case(word));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn any_of(&mut self) -> Option<bool> {
        let mut satisfied = self.all_of()?;
        while self.take("OR") {
            satisfied |= self.all_of()?;
        }
        Some(satisfied)
    }

    fn all_of(&mut self) -> Option<bool> {
        let mut satisfied = self.one()?;
        while self.take("AND") {
            satisfied &= self.one()?;
        }
        Some(satisfied)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let satisfied = self.any_of()?;
            return self.take(")").then_some(satisfied);
        }
        let (&licence, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        if !self.take("WITH") {
            return Some(self.allows(licence));
        }
        let (&exception, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(self.allows(&format!("{licence} WITH {exception}")))
    }

    fn allows(&self, licence: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed == licence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        is_allowed(expression, &allowed.map(str::to_owned))
    }

    #[test]
    fn expressions_are_satisfied_by_allowed_licences() {
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
            "GPL-3.0 OR MIT AND Apache-2.0",
        ] {
            assert!(check(good), "{good}");
        }
    }

    #[test]
    fn what_is_not_allowed_or_not_readable_fails() {
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT)",
            "MIT WITH",
            "MIT OR",
            "MIT Apache-2.0",
            "OR MIT",
        ] {
            assert!(!check(bad), "{bad}");
        }
    }
}
