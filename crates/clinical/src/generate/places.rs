//! People and places of three countries: names, cities with their postal codes, and telephone numbers that no one has.

use super::draw::Draw;
use bxp_types::Jurisdiction;

/// What differs between countries.
pub(super) struct Country {
    pub(super) jurisdiction: Jurisdiction,
    /// The zone in which events are written.
    pub(super) utc_offset: &'static str,
    pub(super) language: (&'static str, &'static str),
    pub(super) currency: &'static str,
    pub(super) women: &'static [&'static str],
    pub(super) men: &'static [&'static str],
    pub(super) families: &'static [&'static str],
    pub(super) streets: &'static [&'static str],
    pub(super) cities: &'static [City],
    pub(super) hospital: &'static str,
    pub(super) domain: &'static str,
}

/// A city with the postal codes that lie in it.
pub(super) struct City {
    pub(super) name: &'static str,
    pub(super) state: &'static str,
    pub(super) postal_codes: &'static [&'static str],
    /// The beginning of numbers that are reserved for fiction: 555-01XX in North America, in Germany the ranges that
    /// the Bundesnetzagentur keeps free for films.
    pub(super) telephone: &'static str,
}

/// The country of a jurisdiction that the generator knows.
pub(super) fn country(jurisdiction: Jurisdiction) -> Option<&'static Country> {
    [&UNITED_STATES, &GERMANY, &CANADA].into_iter().find(|country| country.jurisdiction == jurisdiction)
}

impl Country {
    /// A house in a street, as the country writes it.
    pub(super) fn street_line(&self, draw: &mut Draw) -> String {
        let (street, number) = (draw.pick(self.streets), draw.between(1, 240));
        if self.jurisdiction == Jurisdiction::DE {
            format!("{street} {number}")
        } else {
            format!("{number} {street}")
        }
    }
}

static UNITED_STATES: Country = Country {
    jurisdiction: Jurisdiction::US,
    utc_offset: "-05:00",
    language: ("en-US", "English (United States)"),
    currency: "USD",
    women: &[
        "Mary", "Patricia", "Linda", "Barbara", "Susan", "Jessica", "Karen", "Lisa", "Nancy", "Sandra",
        "Ashley", "Donna", "Carol", "Maria", "Denise", "Latoya", "Mei", "Rosa", "Brenda", "Emma",
    ],
    men: &[
        "James", "Robert", "John", "Michael", "David", "William", "Richard", "Joseph", "Thomas", "Carlos",
        "Daniel", "Matthew", "Anthony", "Mark", "Donald", "Steven", "Andre", "Wei", "Jose", "Kevin",
    ],
    families: &[
        "Smith",
        "Johnson",
        "Williams",
        "Brown",
        "Jones",
        "Garcia",
        "Miller",
        "Davis",
        "Rodriguez",
        "Martinez",
        "Wilson",
        "Anderson",
        "Taylor",
        "Moore",
        "Jackson",
        "Lee",
        "Perez",
        "Thompson",
        "White",
        "Nguyen",
        "O'Brien",
        "Kowalski",
    ],
    streets: &[
        "Main St",
        "Oak Ave",
        "Maple Dr",
        "Washington Blvd",
        "Lake Shore Rd",
        "Cedar Ln",
        "Park Pl",
        "Hillcrest Way",
    ],
    cities: &[
        City {
            name: "Boston",
            state: "MA",
            postal_codes: &["02108", "02115", "02130"],
            telephone: "617-555-01",
        },
        City { name: "Springfield", state: "IL", postal_codes: &["62701", "62704"], telephone: "217-555-01" },
        City { name: "Austin", state: "TX", postal_codes: &["78701", "78745"], telephone: "512-555-01" },
        City { name: "Seattle", state: "WA", postal_codes: &["98101", "98115"], telephone: "206-555-01" },
        City { name: "Lusk", state: "WY", postal_codes: &["82225"], telephone: "307-555-01" },
    ],
    hospital: "Lakeside General Hospital",
    domain: "example.com",
};

static GERMANY: Country = Country {
    jurisdiction: Jurisdiction::DE,
    utc_offset: "+01:00",
    language: ("de-DE", "Deutsch (Deutschland)"),
    currency: "EUR",
    women: &[
        "Ursula",
        "Monika",
        "Petra",
        "Sabine",
        "Renate",
        "Helga",
        "Karin",
        "Brigitte",
        "Ingrid",
        "Andrea",
        "Gisela",
        "Claudia",
        "Susanne",
        "Ayşe",
        "Elif",
        "Katharina",
        "Zoë",
        "Hannelore",
        "Greta",
    ],
    men: &[
        "Peter", "Wolfgang", "Michael", "Werner", "Klaus", "Thomas", "Manfred", "Helmut", "Jürgen", "Heinz",
        "Gerhard", "Andreas", "Hans", "Mehmet", "Mustafa", "Günter", "Björn", "Stefan", "Uwe", "Matthias",
    ],
    families: &[
        "Müller",
        "Schmidt",
        "Schneider",
        "Fischer",
        "Weber",
        "Meyer",
        "Wagner",
        "Becker",
        "Schulz",
        "Hoffmann",
        "Schäfer",
        "Koch",
        "Bauer",
        "Richter",
        "Klein",
        "Wolf",
        "Schröder",
        "Neumann",
        "Schwarz",
        "Yılmaz",
        "Großmann",
        "Krüger",
    ],
    streets: &[
        "Hauptstraße",
        "Gartenweg",
        "Bahnhofstraße",
        "Lindenallee",
        "Schulstraße",
        "Am Marktplatz",
        "Goetheweg",
        "Bergstraße",
    ],
    cities: &[
        City {
            name: "Berlin",
            state: "BE",
            postal_codes: &["10115", "12043", "13353"],
            telephone: "+49 30 23125 ",
        },
        City { name: "München", state: "BY", postal_codes: &["80331", "81541"], telephone: "+49 89 99998 " },
        City { name: "Hamburg", state: "HH", postal_codes: &["20095", "22765"], telephone: "+49 40 66969 " },
        City { name: "Köln", state: "NW", postal_codes: &["50667", "50937"], telephone: "+49 221 4710 " },
        City { name: "Frankfurt am Main", state: "HE", postal_codes: &["60311"], telephone: "+49 69 90009 " },
    ],
    hospital: "Klinikum am Lindenpark",
    domain: "example.org",
};

static CANADA: Country = Country {
    jurisdiction: Jurisdiction::CA,
    utc_offset: "-05:00",
    language: ("en-CA", "English (Canada)"),
    currency: "CAD",
    women: &[
        "Margaret",
        "Jennifer",
        "Heather",
        "Michelle",
        "Nicole",
        "Chantal",
        "Sylvie",
        "Isabelle",
        "Priya",
        "Anne",
        "Julie",
        "Kathleen",
        "Marie-Ève",
        "Simone",
        "Colleen",
        "Jing",
        "Sarah",
        "Amélie",
    ],
    men: &[
        "John",
        "Robert",
        "Pierre",
        "Michel",
        "Jean-François",
        "Liam",
        "Daniel",
        "Gordon",
        "Luc",
        "Harpreet",
        "Stephen",
        "Douglas",
        "Mathieu",
        "Étienne",
        "Ian",
        "Wayne",
        "Minh",
        "Raj",
    ],
    families: &[
        "Tremblay",
        "Gagnon",
        "Roy",
        "Côté",
        "Bouchard",
        "MacDonald",
        "Campbell",
        "Singh",
        "Wong",
        "Martin",
        "Morin",
        "Lavoie",
        "Fortin",
        "Gauthier",
        "Chan",
        "Fraser",
        "Bélanger",
        "Pelletier",
        "Stewart",
        "Gill",
    ],
    streets: &[
        "King St W",
        "Rue Sainte-Catherine",
        "Yonge St",
        "Granville St",
        "Portage Ave",
        "Rue Saint-Denis",
        "Bank St",
    ],
    cities: &[
        City { name: "Toronto", state: "ON", postal_codes: &["M5V 2T6", "M4C 1B5"], telephone: "416-555-01" },
        City {
            name: "Montréal",
            state: "QC",
            postal_codes: &["H2X 1Y4", "H3B 2Y5"],
            telephone: "514-555-01",
        },
        City {
            name: "Vancouver",
            state: "BC",
            postal_codes: &["V6B 1A1", "V5K 0A1"],
            telephone: "604-555-01",
        },
        City { name: "Winnipeg", state: "MB", postal_codes: &["R3C 0A5"], telephone: "204-555-01" },
    ],
    hospital: "St. Lawrence Health Centre",
    domain: "example.ca",
};
