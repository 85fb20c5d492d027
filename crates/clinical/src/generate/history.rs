//! A life in encounters: years of check-ups, and for some the heart's events with what goes before and after.

use super::{
    care::{DIABETES as DIABETES_MELLITUS, FIBRILLATION, HYPERLIPIDEMIA, HYPERTENSION, INFARCTION},
    chart::{Chart, Setting},
    ecg::Rhythm,
    measure::{DIABETES, LIPIDS, METABOLIC, THYROID, TROPONIN},
    words::Coded,
};
use crate::fhir::CivilDay;

/// The heart's event of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartEvent {
    Fibrillation,
    Infarction,
}

/// When the last electrocardiogram before the event was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EarlierEcg {
    /// At least two weeks before.
    Early,
    /// Less than two weeks before.
    Late,
    /// There was none.
    Never,
}

const CHECK_UP: Coded = ("185349003", "Encounter for check up");
const PROBLEM: Coded = ("185347001", "Encounter for problem");
const FOLLOW_UP: Coded = ("390906007", "Follow-up encounter");
const EMERGENCY: Coded = ("50849002", "Emergency room admission");
const PALPITATIONS: Coded = ("80313002", "Palpitations");
const CHEST_PAIN: Coded = ("29857009", "Chest pain");

const APIXABAN: Coded = ("1364445", "apixaban 5 MG Oral Tablet");
const METOPROLOL: Coded = ("866924", "metoprolol tartrate 25 MG Oral Tablet");
const ASPIRIN: Coded = ("243670", "aspirin 81 MG Oral Tablet");
const CLOPIDOGREL: Coded = ("309362", "clopidogrel 75 MG Oral Tablet");
const ATORVASTATIN: Coded = ("259255", "atorvastatin 80 MG Oral Tablet");
const SIMVASTATIN: Coded = ("314231", "simvastatin 10 MG Oral Tablet");
const LISINOPRIL: Coded = ("314076", "lisinopril 10 MG Oral Tablet");
const METFORMIN: Coded = ("860975", "metformin hydrochloride 500 MG Extended Release Oral Tablet");

impl Chart<'_> {
    /// Writes the years up to `today`, with `event` in the last three of them.
    pub(super) fn live(&mut self, today: CivilDay, event: Option<(HeartEvent, EarlierEcg)>) {
        let event_day = today.plus(-self.draw.between(120, 1_000));
        let years = self.draw.between(4, 8);
        let first = today.plus(-years * 365);
        let mut happened = false;
        for year in 0..years {
            let day = first.plus(year * 365 + self.draw.between(0, 60));
            if let Some((kind, earlier)) = event.filter(|_| !happened && day.plus(365) > event_day) {
                happened = true;
                self.heart_event(kind, earlier, event_day);
            }
            // A check-up in the weeks around the event would blur what came before it.
            if event.is_none() || (day.0 - event_day.0).abs() > 40 {
                self.check_up(day, year);
            }
        }
    }

    fn check_up(&mut self, day: CivilDay, year: i32) {
        self.visit(day, Setting::Ambulatory, CHECK_UP, None);
        self.vital_signs();
        self.laboratory(&METABOLIC);
        if year % 2 == 0 {
            self.laboratory(&LIPIDS);
        }
        if year == 0 {
            self.first_findings();
        }
        if self.body.diabetic {
            self.laboratory(&DIABETES);
        }
        self.vaccinate(("140", "Influenza, seasonal, injectable, preservative free"));
        if year == 1 {
            self.vaccinate(("115", "Tdap"));
        }
        self.note("The patient feels well. Lungs clear, heart sounds normal. Continue as before.");
        self.bill(14_250);
    }

    fn first_findings(&mut self) {
        if self.body.systolic > 134 {
            let reason = self.diagnose(&HYPERTENSION);
            self.prescribe(LISINOPRIL, "Take one tablet once a day.", &reason);
        }
        if self.body.diabetic {
            let reason = self.diagnose(&DIABETES_MELLITUS);
            self.prescribe(METFORMIN, "Take one tablet with the evening meal.", &reason);
            let activities = [("160670007", "Diabetic diet"), ("229065009", "Exercise therapy")];
            self.plan(("698360004", "Diabetes self management plan"), &activities, &reason);
        }
        if self.draw.chance(35) {
            let reason = self.diagnose(&HYPERLIPIDEMIA);
            self.prescribe(SIMVASTATIN, "Take one tablet in the evening.", &reason);
        }
    }

    fn heart_event(&mut self, kind: HeartEvent, earlier: EarlierEcg, day: CivilDay) {
        let before = match earlier {
            EarlierEcg::Early => Some(self.draw.between(15, 200)),
            EarlierEcg::Late => Some(self.draw.between(2, 12)),
            EarlierEcg::Never => None,
        };
        if let Some(days) = before {
            let reason = if kind == HeartEvent::Fibrillation { PALPITATIONS } else { CHEST_PAIN };
            self.visit(day.plus(-days), Setting::Ambulatory, PROBLEM, Some(reason));
            self.vital_signs();
            self.electrocardiogram(Rhythm::Sinus);
            self.note("Complaints now and then for some weeks. The EKG is normal; come back if they return.");
            self.bill(21_900);
        }
        match kind {
            HeartEvent::Fibrillation => self.fibrillation(day),
            HeartEvent::Infarction => self.infarction(day),
        }
        self.visit(day.plus(90), Setting::Ambulatory, FOLLOW_UP, None);
        self.vital_signs();
        self.electrocardiogram(Rhythm::Sinus);
        self.note("Three months after the event. No complaints, medication is tolerated.");
        self.bill(17_800);
    }

    fn fibrillation(&mut self, day: CivilDay) {
        self.visit(day, Setting::Ambulatory, PROBLEM, Some(PALPITATIONS));
        self.vital_signs();
        self.electrocardiogram(Rhythm::Fibrillation);
        self.laboratory(&THYROID);
        self.laboratory(&METABOLIC);
        let reason = self.diagnose(&FIBRILLATION);
        self.prescribe(APIXABAN, "Take one tablet twice a day.", &reason);
        self.prescribe(METOPROLOL, "Take one tablet twice a day.", &reason);
        self.note("Irregular pulse since this morning. Atrial fibrillation. Anticoagulation begun, rate controlled.");
        self.bill(48_600);
    }

    fn infarction(&mut self, day: CivilDay) {
        self.visit(day, Setting::Emergency, EMERGENCY, Some(CHEST_PAIN));
        self.vital_signs();
        self.electrocardiogram(Rhythm::StElevation);
        self.laboratory(&TROPONIN);
        self.laboratory(&METABOLIC);
        let reason = self.diagnose(&INFARCTION);
        self.operate(("415070008", "Percutaneous coronary intervention"), 75, &reason);
        for (drug, dosage) in [
            (ASPIRIN, "Take one tablet once a day."),
            (CLOPIDOGREL, "Take one tablet once a day."),
            (ATORVASTATIN, "Take one tablet in the evening."),
            (METOPROLOL, "Take one tablet twice a day."),
        ] {
            self.prescribe(drug, dosage, &reason);
        }
        let activities = [("229065009", "Exercise therapy"), ("225323000", "Smoking cessation education")];
        self.plan(("313395003", "Coronary rehabilitation"), &activities, &reason);
        self.note(
            "Crushing chest pain for two hours. Inferior infarction, stent to the right coronary artery.",
        );
        self.bill(2_845_000);
    }
}
