//! Electrocardiograms: the procedure, the measurements, and the physician's report.

use super::{
    chart::Chart,
    node::{Node, object},
    words::{LOINC, SNOMED, base64, concept, hl7_concept, quantity, reference},
};

/// What an electrocardiogram shows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rhythm {
    Sinus,
    Fibrillation,
    StElevation,
}

impl Rhythm {
    const fn impression(self) -> &'static str {
        match self {
            Self::Sinus => "Normal sinus rhythm. No acute ST-T changes.",
            Self::Fibrillation => {
                "Atrial fibrillation with rapid ventricular response. No P waves, irregular RR intervals."
            }
            Self::StElevation => {
                "Sinus rhythm. ST elevation in II, III and aVF: acute inferior myocardial infarction."
            }
        }
    }
}

impl Chart<'_> {
    /// Writes a 12-lead electrocardiogram.
    pub(super) fn electrocardiogram(&mut self, rhythm: Rhythm) {
        let rate = match rhythm {
            Rhythm::Sinus => self.body.heart_rate,
            Rhythm::Fibrillation => self.draw.between(110, 148),
            Rhythm::StElevation => self.draw.between(88, 112),
        };
        let qt = (460 - rate - rate / 5).clamp(280, 460);
        let measured = [
            (("8867-4", "Heart rate"), Some(rate), "/min"),
            (
                ("8625-6", "P-R Interval"),
                (rhythm != Rhythm::Fibrillation).then(|| self.draw.between(132, 192)),
                "ms",
            ),
            (("8633-0", "QRS duration"), Some(self.draw.between(78, 112)), "ms"),
            (("8634-8", "Q-T interval"), Some(qt), "ms"),
            (("8636-3", "Q-T interval corrected"), Some(self.draw.between(392, 458)), "ms"),
        ];
        let components = measured.into_iter().filter_map(|(code, value, unit)| {
            let value = quantity(value?, 0, unit, unit);
            Some(object! { "code": concept(LOINC, code), "valueQuantity": value })
        });
        let components: Vec<Node> = components.collect();
        let code = ("34534-8", "12 lead EKG panel");
        let observation = self.observe(10, "procedure", code, ("component", components.into()), None);
        self.add("Procedure", |chart, id| {
            object! {
                "resourceType": "Procedure",
                "id": id,
                "meta": chart.profile("us-core-procedure"),
                "status": "completed",
                "code": concept(SNOMED, ("268400002", "12 lead electrocardiogram")),
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "performedPeriod": object! { "start": chart.time(8), "end": chart.time(12) },
                "location": chart.hospital.location_reference(),
            }
        });
        let letter = format!(
            "EKG of {}, born {}, on {}.\n{}\nRead by {}.\n",
            self.person.full_name(),
            self.person.birth,
            self.day(),
            rhythm.impression(),
            self.physician_name(),
        );
        self.add("DiagnosticReport", |chart, id| object! {
            "resourceType": "DiagnosticReport",
            "id": id,
            "meta": chart.profile("us-core-diagnosticreport-note"),
            "status": "final",
            "category": [hl7_concept("v2-0074", "EC")],
            "code": concept(LOINC, ("11524-6", "EKG study")),
            "subject": chart.subject(),
            "encounter": chart.encounter(),
            "effectiveDateTime": chart.time(10),
            "issued": chart.instant(40),
            "performer": [chart.physician()],
            "result": [reference(&observation)],
            "conclusion": rhythm.impression(),
            "presentedForm": [object! { "contentType": "text/plain; charset=utf-8", "data": base64(letter.as_bytes()) }],
        });
    }
}
