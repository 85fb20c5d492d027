// What Medplum's translator has of these documents and BXP says otherwise or not at all, with the reason and the documents.

const ccd = ["CCD_1", "CCD_1_withNF"];
const later = ["CCD_SocialHistory_PQ_value", "CCD_medication_performer_phones"];
const flavors = ["CCDA_NullFlavorSample_v1", "CCDA_ReferencedValuesSample_v1"];
const example = ["CCD.example"];
const old = ["SampleCCDDocument"];
const veterans = ["VA_CCD_Sample_File_Version_12_5_1"];

const ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const SNOMED = "http://snomed.info/sct";
const TERMINOLOGY = "http://terminology.hl7.org/CodeSystem";
const AGE = "age at onset of a relative's condition: here it is onsetAge of FamilyMemberHistory";
const KIND = "the kind of a relative's condition; FamilyMemberHistory has the condition itself";

/// Code systems that they give another URI than HL7's terminology does, or a wrong one.
export const systems = {
  "http://nucc.org/cvx": "http://hl7.org/fhir/sid/cvx",
  "urn:oid:2.16.840.1.113883.6.59": "http://hl7.org/fhir/sid/cvx",
  "http://ncithesaurus-stage.nci.nih.gov": "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl",
  "urn:oid:2.16.840.1.113883.5.4": ACT,
  [`${TERMINOLOGY}/condition-verification`]: `${TERMINOLOGY}/condition-ver-status`,
};

export const differences = {
  [`${TERMINOLOGY}/v3-ParticipationType|PPRF`]: {
    reason: "what a performer does in an encounter: they say 'primary performer' of every one, the document does not",
    documents: [...ccd, ...later, ...flavors, ...example],
  },
  [`${TERMINOLOGY}/v3-ParticipationType|PRF`]: { reason: "the same, 'performer'", documents: veterans },
  [`${TERMINOLOGY}/diagnosis-role|AD`]: {
    reason: "the use of an encounter's diagnosis: they say 'admission' of every one, the document does not",
    documents: [...ccd, ...later, ...flavors, ...example, ...veterans],
  },
  [`${TERMINOLOGY}/observation-category|exam`]: {
    reason: "a category that they give to functional status; here it is 'survey', as in US Core",
    documents: [...ccd, ...later, ...example],
  },
  [`${ACT}|ASSERTION`]: {
    reason: "the code of an allergy's observation; the AllergyIntolerance has what is asserted",
    documents: [...later, ...example],
  },
  [`${SNOMED}|419099009`]: {
    reason: "'dead', below a relative's condition: here it is contributedToDeath of FamilyMemberHistory",
    documents: [...ccd, ...later, ...example, ...old],
  },
  [`${SNOMED}|445518008`]: { reason: AGE, documents: [...ccd, ...later] },
  "445518008 = 57 a": { reason: AGE, documents: [...ccd, ...later] },
  "445518008 = 40 a": { reason: AGE, documents: [...ccd, ...later] },
  [`${SNOMED}|397659008`]: { reason: AGE, documents: [...example, ...old] },
  "397659008 = 57 a": { reason: AGE, documents: example },
  "397659008 = 40 a": { reason: AGE, documents: example },
  [`${SNOMED}|64572001`]: { reason: KIND, documents: ccd },
  "http://loinc.org|75323-6": { reason: KIND, documents: later },
  [`${SNOMED}|7087005`]: { reason: KIND, documents: example },
  [`${SNOMED}|248536006`]: {
    reason: "'finding of functional performance', the kind of a problem; the Condition has the problem itself",
    documents: ccd,
  },
  [`${SNOMED}|371632003`]: {
    reason: "'comatose', which the document denies (negationInd): they say that the patient is",
    documents: ["CCDA_Functional_Status_v1"],
  },
  [`${SNOMED}|40388003`]: {
    reason: "'implant', the code of an organizer of devices; here there are the devices",
    documents: later,
  },
  [`${SNOMED}|55561003`]: { reason: "'active', the status of an allergy: here it is clinicalStatus", documents: example },
};
