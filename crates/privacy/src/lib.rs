//! The privacy manager: the split by default deny, permits, consent and residency decisions.
