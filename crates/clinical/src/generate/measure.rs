//! Observations: vital signs, laboratory values and the reports that bundle them.

use super::{
    chart::Chart,
    node::{Node, object},
    words::{Coded, HL7, LOINC, concept, hl7_concept, quantity, reference},
};

/// What a laboratory measures: LOINC, unit, digits after the point, the reference range, and how far values lie apart.
pub(super) struct Analyte {
    code: Coded,
    unit: &'static str,
    decimals: usize,
    low: i32,
    high: i32,
    usual: i32,
    spread: i32,
}

/// A panel and its analytes.
pub(super) struct Panel {
    code: Coded,
    analytes: &'static [Analyte],
}

macro_rules! analyte {
    ($code:literal, $name:literal, $unit:literal, $decimals:literal, $low:literal .. $high:literal, $usual:literal +- $spread:literal) => {
        Analyte {
            code: ($code, $name),
            unit: $unit,
            decimals: $decimals,
            low: $low,
            high: $high,
            usual: $usual,
            spread: $spread,
        }
    };
}

pub(super) static METABOLIC: Panel = Panel {
    code: ("51990-0", "Basic metabolic panel - Blood"),
    analytes: &[
        analyte!("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 0, 70..99, 92 + -16),
        analyte!("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 2, 60..130, 95 + -35),
        analyte!("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 0, 136..145, 140 + -5),
        analyte!("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 1, 35..51, 42 + -8),
    ],
};

pub(super) static LIPIDS: Panel = Panel {
    code: ("57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
    analytes: &[
        analyte!("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0, 0..200, 196 + -48),
        analyte!("2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", 0, 0..150, 138 + -60),
        analyte!(
            "2085-9",
            "Cholesterol in HDL [Mass/volume] in Serum or Plasma",
            "mg/dL",
            0,
            40..90,
            52 + -18
        ),
        analyte!(
            "18262-6",
            "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay",
            "mg/dL",
            0,
            0..130,
            118 + -40
        ),
    ],
};

pub(super) static THYROID: Panel = Panel {
    code: ("24348-5", "Free T4 and TSH panel - Serum or Plasma"),
    analytes: &[analyte!(
        "3016-3",
        "Thyrotropin [Units/volume] in Serum or Plasma",
        "mIU/L",
        2,
        40..400,
        210 + -150
    )],
};

pub(super) static DIABETES: Panel = Panel {
    code: ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
    analytes: &[analyte!("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 1, 40..56, 71 + -11)],
};

pub(super) static TROPONIN: Panel = Panel {
    code: ("89579-7", "Troponin I.cardiac panel - Serum or Plasma"),
    analytes: &[analyte!(
        "10839-9",
        "Troponin I.cardiac [Mass/volume] in Serum or Plasma",
        "ng/mL",
        2,
        0..4,
        850 + -600
    )],
};

impl Chart<'_> {
    /// Adds an Observation; `value` is the key and value of what was measured.
    pub(super) fn observe(
        &mut self,
        minutes: i32,
        category: &'static str,
        code: Coded,
        value: (&'static str, Node),
        interpreted: Option<(Node, Node)>,
    ) -> String {
        self.add("Observation", |chart, id| {
            let (interpretation, range) = interpreted.unzip();
            let profile =
                if category == "laboratory" { chart.profile("us-core-observation-lab") } else { None };
            let observation = object! {
                "resourceType": "Observation",
                "id": id,
                "meta": profile,
                "status": "final",
                "category": [hl7_concept("observation-category", category)],
                "code": concept(LOINC, code),
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "effectiveDateTime": chart.time(minutes),
                "issued": chart.instant(minutes + 20),
                "performer": [chart.physician()],
            };
            observation
                .with(value.0, value.1)
                .with("interpretation", interpretation.map(|one| vec![one]))
                .with("referenceRange", range.map(|one| vec![one]))
        })
    }

    pub(super) fn vital_signs(&mut self) {
        let weight = self.body.weight_hg + self.draw.around(0, 30);
        let height = self.body.height_mm;
        let meters_squared = i64::from(height) * i64::from(height);
        let body_mass_index = i32::try_from(i64::from(weight) * 1_000_000 / meters_squared).unwrap_or(250);
        let systolic = self.body.systolic + self.draw.around(0, 14);
        let diastolic = systolic * 62 / 100 + self.draw.around(0, 6);
        let heart_rate = self.body.heart_rate + self.draw.around(0, 9);
        let rows = [
            (("8302-2", "Body height"), quantity(height, 1, "cm", "cm")),
            (("29463-7", "Body weight"), quantity(weight, 1, "kg", "kg")),
            (("39156-5", "Body mass index (BMI) [Ratio]"), quantity(body_mass_index, 1, "kg/m2", "kg/m2")),
            (("8867-4", "Heart rate"), quantity(heart_rate, 0, "/min", "/min")),
            (("9279-1", "Respiratory rate"), quantity(self.draw.between(12, 18), 0, "/min", "/min")),
            (("8310-5", "Body temperature"), quantity(self.draw.around(367, 6), 1, "Cel", "Cel")),
            (
                ("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
                quantity(self.draw.between(94, 99), 0, "%", "%"),
            ),
        ];
        for (code, value) in rows {
            self.observe(5, "vital-signs", code, ("valueQuantity", value), None);
        }
        let part = |code, value| {
            object! { "code": concept(LOINC, code), "valueQuantity": quantity(value, 0, "mmHg", "mm[Hg]") }
        };
        let parts = Node::from([
            part(("8480-6", "Systolic blood pressure"), systolic),
            part(("8462-4", "Diastolic blood pressure"), diastolic),
        ]);
        let code = ("85354-9", "Blood pressure panel with all children optional");
        self.observe(6, "vital-signs", code, ("component", parts), None);
    }

    /// Draws blood, measures a panel and reports it.
    pub(super) fn laboratory(&mut self, panel: &Panel) {
        let mut results = Vec::new();
        for analyte in panel.analytes {
            let mut value = self.draw.around(analyte.usual, analyte.spread).max(0);
            if self.body.diabetic && analyte.code.0 == "2345-7" {
                value += 55;
            }
            let (flag, meaning) = match value {
                low if low < analyte.low => ("L", "Low"),
                high if high > analyte.high => ("H", "High"),
                _ => ("N", "Normal"),
            };
            let interpretation = object! { "coding": [object! {
                "system": format!("{HL7}/v3-ObservationInterpretation"), "code": flag, "display": meaning,
            }] };
            let limit = |bound| quantity(bound, analyte.decimals, analyte.unit, analyte.unit);
            let range = object! { "low": limit(analyte.low), "high": limit(analyte.high) };
            let value = ("valueQuantity", quantity(value, analyte.decimals, analyte.unit, analyte.unit));
            results.push(reference(&self.observe(
                15,
                "laboratory",
                analyte.code,
                value,
                Some((interpretation, range)),
            )));
        }
        self.add("DiagnosticReport", |chart, id| {
            object! {
                "resourceType": "DiagnosticReport",
                "id": id,
                "meta": chart.profile("us-core-diagnosticreport-lab"),
                "status": "final",
                "category": [hl7_concept("v2-0074", "LAB")],
                "code": concept(LOINC, panel.code),
                "subject": chart.subject(),
                "encounter": chart.encounter(),
                "effectiveDateTime": chart.time(15),
                "issued": chart.instant(95),
                "performer": [chart.hospital.organization_reference()],
                "result": results,
            }
        });
    }
}
