//! Bundles with identifiers planted at all kinds of places. `@kind` is a new identifier; `{P}`, `{E}` and `{COUNTRY}` are
//! the patient's id, the encounter's id and the country.

use super::planted::Planter;

const PATIENT: &str = r##"{"resourceType":"Patient","id":"{P}","text":{"status":"generated","div":"@html"},
"contained":[{"resourceType":"Practitioner","id":"gp","name":[{"family":"@name","given":["@name"]}],"telecom":[{"system":"phone","value":"@phone"}]}],
"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"@name"},
{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"city":"@name","country":"{COUNTRY}"}},
{"url":"@url","valueString":"@text"}],
"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"@ssn"},
{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}],"text":"@text"},"system":"@url","value":"@mrn","assigner":{"display":"@name"}},
{"system":"urn:oid:2.16.840.1.113883.4.3.25","value":"@serial","period":{"start":"@date"}}],
"name":[{"use":"official","text":"@name","family":"@name","given":["@name","@name"],"prefix":["@name"]},{"use":"maiden","family":"@name"}],
"telecom":[{"system":"phone","value":"@phone","use":"home"},{"system":"email","value":"@email"},{"system":"url","value":"@url"}],
"gender":"female","birthDate":"@date","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"@dateT07:11:00Z"}]},
"address":[{"use":"home","text":"@text","line":["@street","@street"],"city":"@name","district":"@name","country":"{COUNTRY}","period":{"start":"@date"}}],
"photo":[{"contentType":"image/png","data":"@note","title":"@name"}],
"contact":[{"name":{"family":"@name","given":["@name"]},"telecom":[{"system":"phone","value":"@phone"},{"system":"email","value":"@email"}],"address":{"line":["@street"],"city":"@name"}}],
"generalPractitioner":[{"reference":"#gp","display":"@name"}],
"link":[{"other":{"display":"@name","identifier":{"value":"@mrn"}},"type":"seealso"}]}"##;

/// The patient's records.
const RECORDS: [&str; 18] = [
    r#"{"resourceType":"RelatedPerson","id":"@id","patient":{"reference":"Patient/{P}","display":"@name"},"name":[{"family":"@name"}],"telecom":[{"system":"phone","value":"@phone"}],"birthDate":"@date","address":[{"line":["@street"],"city":"@name"}]}"#,
    r#"{"resourceType":"Encounter","id":"{E}","identifier":[{"value":"@mrn"}],"status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB","display":"@name"},"type":[{"text":"@text"}],"subject":{"reference":"Patient/{P}","display":"@name"},"participant":[{"individual":{"display":"@name"}}],"period":{"start":"@dateT10:00:00Z","end":"@date"},"reasonCode":[{"text":"@text"}],"location":[{"location":{"display":"@street"}}],"serviceProvider":{"display":"@name"}}"#,
    r#"{"resourceType":"Condition","id":"@id","code":{"coding":[{"system":"http://snomed.info/sct","code":"49436004","display":"@text"}],"text":"@text"},"subject":{"reference":"Patient/{P}","display":"@name"},"encounter":{"reference":"Encounter/{E}"},"onsetDateTime":"@date","abatementString":"@text","recordedDate":"@date","recorder":{"display":"@name"},"note":[{"authorString":"@name","time":"@dateT08:00:00Z","text":"@text"}]}"#,
    r##"{"resourceType":"Observation","id":"@id","contained":[{"resourceType":"Patient","id":"inner","name":[{"family":"@name"}],"birthDate":"@date","telecom":[{"value":"@phone"}]},{"resourceType":"Organization","id":"lab","name":"@name","address":[{"line":["@street"]}]}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7","display":"@text"}]},"subject":{"reference":"Patient/{P}"},"focus":[{"reference":"#inner"}],"effectiveDateTime":"@dateT09:30:00Z","issued":"@dateT11:00:00Z","performer":[{"reference":"#lab","display":"@name"}],"valueQuantity":{"value":71.50,"unit":"@text","system":"http://unitsofmeasure.org","code":"kg"},"note":[{"text":"@text"}]}"##,
    r#"{"resourceType":"Observation","id":"@id","status":"final","code":{"text":"@text"},"subject":{"reference":"Patient/{P}"},"valueString":"@text","component":[{"code":{"text":"@text"},"valueString":"@ssn"},{"code":{"coding":[{"system":"@url","code":"@name"}]},"valueDateTime":"@date"}]}"#,
    r#"{"resourceType":"DocumentReference","id":"@id","masterIdentifier":{"value":"urn:uuid:@uuid"},"status":"current","subject":{"reference":"Patient/{P}"},"date":"@dateT12:00:00Z","author":[{"display":"@name"}],"description":"@text","content":[{"attachment":{"contentType":"text/plain","data":"@note","title":"@name","creation":"@date"}}]}"#,
    r#"{"resourceType":"DiagnosticReport","id":"@id","status":"final","code":{"text":"@text"},"subject":{"reference":"Patient/{P}"},"effectiveDateTime":"@date","performer":[{"display":"@name"}],"conclusion":"@text","presentedForm":[{"contentType":"text/plain","data":"@note"},{"contentType":"application/pdf","url":"@url"}]}"#,
    r#"{"resourceType":"MedicationRequest","id":"@id","status":"active","intent":"order","medicationCodeableConcept":{"text":"@text"},"subject":{"reference":"Patient/{P}"},"authoredOn":"@date","requester":{"display":"@name"},"note":[{"text":"@text"}],"dosageInstruction":[{"text":"@text","patientInstruction":"@text"}]}"#,
    r#"{"resourceType":"AllergyIntolerance","id":"@id","patient":{"reference":"Patient/{P}"},"onsetString":"@text","recordedDate":"@date","asserter":{"display":"@name"},"reaction":[{"manifestation":[{"text":"@text"}],"description":"@text","onset":"@date"}]}"#,
    r#"{"resourceType":"Coverage","id":"@id","status":"active","policyHolder":{"display":"@name"},"subscriberId":"@serial","beneficiary":{"reference":"Patient/{P}"},"dependent":"@serial","payor":[{"display":"@name"}],"class":[{"type":{"text":"@text"},"value":"@serial","name":"@name"}]}"#,
    r#"{"resourceType":"QuestionnaireResponse","id":"@id","status":"completed","subject":{"reference":"Patient/{P}"},"authored":"@date","item":[{"linkId":"1","text":"@text","answer":[{"valueString":"@text"},{"valueDate":"@date"}]}]}"#,
    r#"{"resourceType":"Communication","id":"@id","status":"completed","subject":{"reference":"Patient/{P}"},"sent":"@dateT13:00:00Z","payload":[{"contentString":"@text"},{"contentAttachment":{"contentType":"text/plain","data":"@note"}}]}"#,
    r#"{"resourceType":"Device","id":"@id","udiCarrier":[{"carrierHRF":"@serial"}],"distinctIdentifier":"@serial","serialNumber":"@serial","lotNumber":"@serial","deviceName":[{"name":"@name","type":"user-friendly-name"}],"patient":{"reference":"Patient/{P}"},"note":[{"text":"@text"}]}"#,
    r#"{"resourceType":"ImagingStudy","id":"@id","identifier":[{"system":"urn:dicom:uid","value":"urn:oid:1.2.840.@serial"}],"status":"available","subject":{"reference":"Patient/{P}"},"started":"@dateT14:00:00Z","description":"@text","series":[{"uid":"1.2.840.@serial","modality":{"system":"http://dicom.nema.org/resources/ontology/DCM","code":"CT"},"description":"@text"}]}"#,
    r#"{"resourceType":"Procedure","id":"@id","status":"completed","code":{"text":"@text"},"subject":{"reference":"Patient/{P}"},"performedPeriod":{"start":"@dateT15:00:00Z","end":"@dateT16:00:00Z"},"performer":[{"actor":{"display":"@name"}}],"location":{"display":"@street"},"note":[{"text":"@text"}]}"#,
    r#"{"resourceType":"Immunization","id":"@id","status":"completed","vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"140","display":"@text"}]},"patient":{"reference":"Patient/{P}"},"occurrenceDateTime":"@date","lotNumber":"@serial","manufacturer":{"display":"@name"},"note":[{"text":"@text"}]}"#,
    r#"{"resourceType":"Basic","id":"@id","extension":[{"url":"@url","valueString":"@text"},{"url":"@url","valueBase64Binary":"@note"}],"code":{"text":"@text"},"subject":{"reference":"Patient/{P}"},"created":"@date","author":{"display":"@name"}}"#,
    r#"{"resourceType":"Claim","id":"@id","status":"active","type":{"text":"@text"},"use":"claim","patient":{"reference":"Patient/{P}","display":"@name"},"created":"@date","provider":{"display":"@name"},"priority":{"text":"@text"},"insurance":[{"sequence":1,"focal":true,"coverage":{"display":"@text"},"preAuthRef":["@serial"]}],"accident":{"date":"@date","locationAddress":{"line":["@street"],"city":"@name"}}}"#,
];

/// A patient's chart.
pub(super) struct Chart {
    pub(super) bundle: String,
    pub(super) records: u64,
    /// The id that its submitter gave the patient.
    pub(super) patient: String,
}

/// A patient of `country` with records, as a transaction. `besides` plants what is in the bundle but in no resource.
pub(super) fn chart(planter: &mut Planter, besides: &mut Planter, country: &str) -> Chart {
    let (patient, encounter) = (planter.plant("id"), planter.plant("id"));
    let templates = [PATIENT].into_iter().chain(RECORDS);
    let entries: Vec<String> = templates
        .map(|template| {
            let template = template
                .replace("{P}", &patient)
                .replace("{E}", &encounter)
                .replace("{COUNTRY}", country)
                .replace('\n', "");
            let resource = planter.fill(&template);
            let address = besides.plant("uuid");
            let kind = resource.split('"').nth(3).unwrap();
            format!(r#"{{"fullUrl":"urn:uuid:{address}","resource":{resource},"request":{{"method":"POST","url":"{kind}"}}}}"#)
        })
        .collect();
    let records = entries.len() as u64;
    let bundle =
        format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","));
    Chart { bundle, records, patient }
}
