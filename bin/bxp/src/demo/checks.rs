//! What the demonstration claims, and whether it holds.

use anyhow::{Result, bail};

/// Claims, checked in the order of the story.
#[derive(Default)]
pub(super) struct Checks {
    list: Vec<(String, bool)>,
}

impl Checks {
    /// Notes a claim and whether it holds.
    pub(super) fn that(&mut self, claim: impl Into<String>, holds: bool) {
        self.list.push((claim.into(), holds));
    }

    /// Prints all claims; an error if one does not hold.
    pub(super) fn conclude(self) -> Result<()> {
        for (claim, holds) in &self.list {
            println!("   {} {claim}", if *holds { "ok    " } else { "FAILED" });
        }
        let failed = self.list.iter().filter(|(_, holds)| !holds).count();
        if failed > 0 {
            bail!("{failed} of {} claims do not hold", self.list.len());
        }
        println!("   all {} claims hold", self.list.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_claim_that_does_not_hold_fails_the_demonstration() {
        let mut checks = Checks::default();
        checks.that("water is wet", true);
        assert!(Checks { list: checks.list.clone() }.conclude().is_ok());
        checks.that("the moon is a cheese", false);
        assert_eq!(checks.conclude().unwrap_err().to_string(), "1 of 2 claims do not hold");
    }
}
