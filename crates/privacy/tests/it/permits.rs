//! Who may open what: a table of requests, and no input that lets identity cross a border.

use bxp_privacy::{
    ContractFacts, CopyFacts, Denial, Facts, PERMIT_LIFETIME_MS, Purpose, Request, Scope, decide, decide_copy,
};
use bxp_types::{Address, BlockClass, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use proptest::prelude::*;

const NOW_MS: u64 = 1_000_000;
const RECORD: RecordId = RecordId([1; 16]);
const SUBJECT: SubjectId = SubjectId([2; 16]);
const CONTRACT: Address = Address::repeat_byte(3);
const US: BlockClass = BlockClass::Identity(Jurisdiction::US);

fn request(class: BlockClass, purpose: Purpose) -> Request {
    Request { requester: ValidatorIndex(1), scope: Scope::Record(RECORD), class, purpose }
}

/// A member at home in the United States that asks for the record of a patient who lives there.
fn facts() -> Facts {
    Facts {
        now_ms: NOW_MS,
        member: true,
        holder: false,
        regulator: false,
        requester_jurisdiction: Jurisdiction::US,
        residency: Some(Jurisdiction::US),
        patient_verified: false,
        contribution: None,
        contract: None,
    }
}

fn contract(open: bool, term_end_ms: u64) -> Option<ContractFacts> {
    Some(ContractFacts { address: CONTRACT, open, term_end_ms })
}

#[test]
fn the_rules() {
    use Denial::*;
    use Purpose::*;
    let (rest, research) = (BlockClass::Deidentified, Research { request: CONTRACT });
    let german = Facts { requester_jurisdiction: Jurisdiction::DE, ..facts() };
    let stranger = Facts { member: false, ..facts() };
    let holder = Facts { holder: true, ..facts() };
    let patient = Facts { patient_verified: true, ..facts() };
    let regulator = Facts { regulator: true, ..facts() };
    let buyer = Facts { contribution: Some(true), contract: contract(true, NOW_MS + 1), ..facts() };
    let table = [
        ("care at home", request(US, Treatment), facts(), Ok(())),
        ("care by a stranger", request(US, Treatment), stranger, Err(NotAMember)),
        ("care abroad", request(US, Treatment), german, Err(AcrossBorder)),
        ("care abroad without identity", request(rest, Treatment), german, Ok(())),
        (
            "a German record as if it were American",
            request(US, Treatment),
            Facts { residency: Some(Jurisdiction::DE), ..facts() },
            Err(AcrossBorder),
        ),
        (
            "a record of unknown residency",
            request(US, Treatment),
            Facts { residency: None, ..facts() },
            Err(AcrossBorder),
        ),
        ("the holder's operations", request(US, Operations), holder, Ok(())),
        ("the holder's operations on the rest", request(rest, Operations), holder, Ok(())),
        ("another's operations", request(US, Operations), facts(), Err(PurposeNotAllowed)),
        ("another's operations on the rest", request(rest, Operations), facts(), Err(PurposeNotAllowed)),
        ("a holder abroad", request(US, Operations), Facts { holder: true, ..german }, Err(AcrossBorder)),
        ("the patient", request(US, PatientAccess), patient, Ok(())),
        ("one who says to be the patient", request(US, PatientAccess), facts(), Err(PatientNotVerified)),
        ("a regulator and identity", request(US, Oversight), regulator, Err(PurposeNotAllowed)),
        ("a regulator", request(rest, Oversight), regulator, Ok(())),
        ("one who says to be a regulator", request(rest, Oversight), facts(), Err(PurposeNotAllowed)),
        ("research and identity", request(US, research), buyer, Err(PurposeNotAllowed)),
        ("research", request(rest, research), buyer, Ok(())),
        (
            "research, switch off",
            request(rest, research),
            Facts { contribution: Some(false), ..buyer },
            Err(NoContribution),
        ),
        (
            "research, switch unknown",
            request(rest, research),
            Facts { contribution: None, ..buyer },
            Err(NoContribution),
        ),
        (
            "research, closed",
            request(rest, research),
            Facts { contract: contract(false, NOW_MS + 1), ..buyer },
            Err(ContractNotOpen),
        ),
        (
            "research, no contract",
            request(rest, research),
            Facts { contract: None, ..buyer },
            Err(ContractNotOpen),
        ),
        (
            "research, another contract",
            request(rest, Research { request: Address::ZERO }),
            buyer,
            Err(ContractNotOpen),
        ),
        (
            "research, term over",
            request(rest, research),
            Facts { contract: contract(true, NOW_MS), ..buyer },
            Err(TermEnded),
        ),
    ];
    for (what, request, facts, expected) in table {
        assert_eq!(decide(&request, &facts).map(|_| ()), expected, "{what}");
    }
}

#[test]
fn all_own_records_are_for_the_holders_operations() {
    let own = |class, purpose| Request { scope: Scope::OwnRecords, ..request(class, purpose) };
    let holder = Facts { holder: true, residency: None, ..facts() };
    assert!(decide(&own(BlockClass::Deidentified, Purpose::Operations), &holder).is_ok());
    assert!(decide(&own(US, Purpose::Operations), &holder).is_ok());
    let german = Facts { requester_jurisdiction: Jurisdiction::DE, ..holder };
    assert_eq!(decide(&own(US, Purpose::Operations), &german), Err(Denial::AcrossBorder));
    assert_eq!(decide(&own(US, Purpose::Treatment), &holder), Err(Denial::ScopeNotAllowed));
    assert_eq!(decide(&own(US, Purpose::Operations), &facts()), Err(Denial::ScopeNotAllowed));
}

#[test]
fn a_copy_goes_to_nodes_that_are_placed_in_the_country_alone() {
    let placed = CopyFacts {
        now_ms: NOW_MS,
        requester_jurisdiction: Some(Jurisdiction::US),
        residency: Jurisdiction::US,
        placed: true,
    };
    let ask = |facts: CopyFacts| decide_copy(ValidatorIndex(1), RECORD, &facts);
    let permit = ask(placed).unwrap();
    assert_eq!((permit.requester(), permit.class()), (ValidatorIndex(1), US));
    assert!(permit.opens(RECORD, SUBJECT, US, NOW_MS));
    assert!(!permit.opens(RecordId([9; 16]), SUBJECT, US, NOW_MS), "of this record alone");
    assert!(!permit.opens(RECORD, SUBJECT, US, NOW_MS + PERMIT_LIFETIME_MS));
    let refused = [
        (CopyFacts { placed: false, ..placed }, Denial::PurposeNotAllowed),
        (CopyFacts { requester_jurisdiction: None, ..placed }, Denial::NotAMember),
        (CopyFacts { requester_jurisdiction: Some(Jurisdiction::DE), ..placed }, Denial::AcrossBorder),
    ];
    for (facts, denial) in refused {
        assert_eq!(ask(facts), Err(denial));
    }
}

#[test]
fn a_permit_opens_its_scope_until_it_expires() {
    let permit = decide(&request(US, Purpose::Treatment), &facts()).unwrap();
    let (end, other) = (permit.expires_ms(), RecordId([9; 16]));
    assert_eq!(end, NOW_MS + PERMIT_LIFETIME_MS);
    assert!(permit.opens(RECORD, SUBJECT, US, end - 1));
    assert!(permit.opens(RECORD, SUBJECT, BlockClass::Deidentified, NOW_MS), "the whole needs both sides");
    assert!(!permit.opens(RECORD, SUBJECT, US, end));
    assert!(!permit.opens(other, SUBJECT, US, NOW_MS));
    assert!(!permit.opens(RECORD, SUBJECT, BlockClass::Identity(Jurisdiction::DE), NOW_MS));

    let subject =
        Request { scope: Scope::Subject(SUBJECT), ..request(BlockClass::Deidentified, Purpose::Treatment) };
    let permit = decide(&subject, &facts()).unwrap();
    assert!(permit.opens(other, SUBJECT, BlockClass::Deidentified, NOW_MS));
    assert!(!permit.opens(other, SubjectId([9; 16]), BlockClass::Deidentified, NOW_MS));
    assert!(!permit.opens(other, SUBJECT, US, NOW_MS), "the rest does not open identity");
}

#[test]
fn a_research_permit_ends_with_the_term() {
    let purpose = Purpose::Research { request: CONTRACT };
    let facts = Facts { contribution: Some(true), contract: contract(true, NOW_MS + 5), ..facts() };
    let permit = decide(&request(BlockClass::Deidentified, purpose), &facts).unwrap();
    assert_eq!(permit.expires_ms(), NOW_MS + 5);
    assert_eq!(permit.purpose(), purpose);
}

#[test]
fn every_refusal_reads_the_same_and_has_its_own_code() {
    use Denial::*;
    let all = [
        NotAMember,
        AcrossBorder,
        PurposeNotAllowed,
        ScopeNotAllowed,
        PatientNotVerified,
        NoContribution,
        ContractNotOpen,
        TermEnded,
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(|denial| denial.code()).collect();
    assert_eq!(codes.len(), all.len());
    assert!(all.iter().all(|denial| denial.to_string() == "not permitted"));
}

fn jurisdiction() -> impl Strategy<Value = Jurisdiction> {
    prop::sample::select(vec![Jurisdiction::US, Jurisdiction::DE, Jurisdiction::CA])
}

prop_compose! {
    fn any_request()(
        class in prop_oneof![jurisdiction().prop_map(BlockClass::Identity), Just(BlockClass::Deidentified)],
        scope in prop::sample::select(vec![Scope::Record(RECORD), Scope::Subject(SUBJECT), Scope::OwnRecords]),
        purpose in prop::sample::select(vec![
            Purpose::Treatment,
            Purpose::Operations,
            Purpose::PatientAccess,
            Purpose::Oversight,
            Purpose::Research { request: CONTRACT },
        ]),
    ) -> Request {
        Request { requester: ValidatorIndex(1), scope, class, purpose }
    }
}

prop_compose! {
    fn any_facts()(
        [member, holder, regulator, patient_verified, open] in any::<[bool; 5]>(),
        now_ms in any::<u64>(),
        term_end_ms in any::<u64>(),
        requester_jurisdiction in jurisdiction(),
        residency in prop::option::of(jurisdiction()),
        contribution in any::<Option<bool>>(),
        named in any::<bool>(),
    ) -> Facts {
        let contract = named.then_some(ContractFacts { address: CONTRACT, open, term_end_ms });
        Facts { now_ms, member, holder, regulator, requester_jurisdiction, residency, patient_verified, contribution, contract }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) })]

    #[test]
    fn identity_never_crosses_a_border(request in any_request(), facts in any_facts(), to in jurisdiction()) {
        if let Ok(permit) = decide(&request, &facts) {
            let opens = permit.opens(RECORD, SUBJECT, BlockClass::Identity(to), facts.now_ms);
            prop_assert!(!opens || to == facts.requester_jurisdiction);
            if let (BlockClass::Identity(home), Some(residency)) = (permit.class(), facts.residency) {
                prop_assert!(request.scope == Scope::OwnRecords || home == residency);
            }
        }
    }

    #[test]
    fn nobody_outside_the_network_gets_a_permit(request in any_request(), facts in any_facts()) {
        let stranger = Facts { member: false, ..facts };
        prop_assert!(decide(&request, &stranger).is_err());
    }

    #[test]
    fn research_needs_switch_contract_and_term(request in any_request(), facts in any_facts()) {
        if let (Ok(permit), Purpose::Research { .. }) = (decide(&request, &facts), request.purpose) {
            let contract = facts.contract.unwrap();
            prop_assert!(facts.contribution == Some(true) && contract.open && facts.now_ms < contract.term_end_ms);
            prop_assert!(permit.expires_ms() <= contract.term_end_ms);
            prop_assert_eq!(permit.class(), BlockClass::Deidentified);
        }
    }
}
