//! The option `ssl_ciphers`: a cipher list in OpenSSL's syntax (openssl-ciphers(1)), applied to the suites of rustls.
//!
//! | element | meaning |
//! |---|---|
//! | a suite of TLS 1.2, by its OpenSSL or IANA name | adds it |
//! | a suite of TLS 1.3 | adds it; suites of TLS 1.3 that are not named stay off, unless none is named |
//! | a group (`HIGH`, `ECDHE+AESGCM`, `DEFAULT`, …) | adds the suites of TLS 1.2 that belong to it |
//! | `!x` | removes the suite or the group's suites of TLS 1.2 permanently: naming them later does not add them |
//! | `-x` | removes them; naming them later adds them again |
//! | `+x`, `@STRENGTH`, `@SECLEVEL=n` | no effect: the client's order of preference decides |
//!
//! Lists written for OpenSSL name suites that rustls does not implement (DHE, RSA key exchange, CBC): these names have
//! no effect. An unknown name is an error, and so is a list that selects nothing.

use std::fmt;

use rustls::CipherSuite;

use super::suite_names;

/// Why a cipher list is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SuitesError {
    /// No suite, no group and no directive has this name.
    Unknown(String),
    /// The list selects no suite: each was unavailable or removed.
    Empty,
}

impl fmt::Display for SuitesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no cipher suite and no group of them named {name:?}"),
            Self::Empty => write!(f, "none of the cipher suites in the list is available"),
        }
    }
}

/// The result of a cipher list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The suites, strongest first. Not empty.
    pub suites: Vec<CipherSuite>,
    /// Names of suites in the list that rustls does not implement.
    pub unavailable: Vec<String>,
}

/// Parses a cipher list. Colons, commas and spaces separate its elements.
///
/// # Errors
/// See [`SuitesError`].
pub(crate) fn select(list: &str) -> Result<Selection, SuitesError> {
    let mut choice = Choice::default();
    for element in list.split([':', ',', ' ']).filter(|element| !element.is_empty()) {
        choice.apply(element)?;
    }
    choice.conclude()
}

/// One suite of rustls, with its names and groups.
struct Suite {
    openssl: &'static str,
    iana: &'static str,
    version: Version,
    /// The groups to which it belongs, besides [`COMMON_GROUPS`].
    groups: &'static [&'static str],
    suite: CipherSuite,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Tls12,
    Tls13,
}

/// The state while a list is applied, by position in [`SUITES`].
#[derive(Default)]
struct Choice {
    chosen: [bool; SUITES.len()],
    /// Removed permanently (`!`).
    banned: [bool; SUITES.len()],
    unavailable: Vec<String>,
}

/// What an element of a list does with the suites that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Reorder,
    Remove,
    Ban,
}

impl Choice {
    fn apply(&mut self, element: &str) -> Result<(), SuitesError> {
        let (verb, name) = match element.as_bytes() {
            [b'!', ..] => (Verb::Ban, &element[1..]),
            [b'-', ..] => (Verb::Remove, &element[1..]),
            [b'+', ..] => (Verb::Reorder, &element[1..]),
            [b'@', ..] if is_directive(element) => return Ok(()),
            _ => (Verb::Add, element),
        };
        let unknown = || SuitesError::Unknown(element.to_owned());
        if let Some(position) = SUITES.iter().position(|suite| suite.openssl == name || suite.iana == name) {
            self.set(position, verb);
        } else if suite_names::is_unavailable(name) {
            if verb == Verb::Add {
                self.unavailable.push(name.to_owned());
            }
        } else {
            let groups: Vec<&str> = name.split('+').collect();
            if !groups.iter().all(|group| is_group(group)) {
                return Err(unknown());
            }
            for (position, suite) in SUITES.iter().enumerate() {
                if suite.version == Version::Tls12 && groups.iter().all(|group| suite.belongs_to(group)) {
                    self.set(position, verb);
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, position: usize, verb: Verb) {
        match verb {
            Verb::Add => self.chosen[position] = !self.banned[position],
            Verb::Reorder => {}
            Verb::Remove => self.chosen[position] = false,
            Verb::Ban => {
                self.chosen[position] = false;
                self.banned[position] = true;
            }
        }
    }

    /// As in OpenSSL, a list that names only suites of TLS 1.2 leaves those of TLS 1.3 enabled.
    fn conclude(mut self) -> Result<Selection, SuitesError> {
        let of = |version| move |position: &usize| SUITES[*position].version == version;
        let names_tls13 = (0..SUITES.len()).filter(of(Version::Tls13)).any(|position| self.chosen[position]);
        let names_tls12 = (0..SUITES.len()).filter(of(Version::Tls12)).any(|position| self.chosen[position]);
        if !names_tls13 && names_tls12 {
            (0..SUITES.len()).filter(of(Version::Tls13)).for_each(|position| {
                self.chosen[position] = !self.banned[position];
            });
        }
        let chosen = SUITES.iter().zip(self.chosen).filter(|(_, chosen)| *chosen);
        let suites: Vec<_> = chosen.map(|(suite, _)| suite.suite).collect();
        if suites.is_empty() {
            Err(SuitesError::Empty)
        } else {
            Ok(Selection { suites, unavailable: self.unavailable })
        }
    }
}

impl Suite {
    /// Whether this suite, of TLS 1.2, belongs to a group.
    fn belongs_to(&self, group: &str) -> bool {
        COMMON_GROUPS.contains(&group) || self.groups.contains(&group)
    }
}

fn is_group(name: &str) -> bool {
    COMMON_GROUPS.contains(&name)
        || EMPTY_GROUPS.contains(&name)
        || SUITES.iter().any(|suite| suite.groups.contains(&name))
}

fn is_directive(element: &str) -> bool {
    let level = element.strip_prefix("@SECLEVEL=");
    element == "@STRENGTH" || level.is_some_and(|level| matches!(level, "0" | "1" | "2" | "3" | "4" | "5"))
}

/// All suites of rustls, strongest first.
const SUITES: [Suite; 9] = [
    Suite {
        openssl: "TLS_AES_256_GCM_SHA384",
        iana: "TLS_AES_256_GCM_SHA384",
        version: Version::Tls13,
        groups: &[],
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
    },
    Suite {
        openssl: "TLS_AES_128_GCM_SHA256",
        iana: "TLS_AES_128_GCM_SHA256",
        version: Version::Tls13,
        groups: &[],
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
    },
    Suite {
        openssl: "TLS_CHACHA20_POLY1305_SHA256",
        iana: "TLS_CHACHA20_POLY1305_SHA256",
        version: Version::Tls13,
        groups: &[],
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    },
    Suite {
        openssl: "ECDHE-ECDSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        version: Version::Tls12,
        groups: &["aECDSA", "ECDSA", "AES256", "AES", "AESGCM", "SHA384", "SUITEB128", "SUITEB192"],
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    },
    Suite {
        openssl: "ECDHE-ECDSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        version: Version::Tls12,
        groups: &["aECDSA", "ECDSA", "AES128", "AES", "AESGCM", "SHA256", "SUITEB128", "SUITEB128ONLY"],
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    },
    Suite {
        openssl: "ECDHE-ECDSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        version: Version::Tls12,
        groups: &["aECDSA", "ECDSA", "CHACHA20"],
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    },
    Suite {
        openssl: "ECDHE-RSA-AES256-GCM-SHA384",
        iana: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        version: Version::Tls12,
        groups: &["aRSA", "AES256", "AES", "AESGCM", "SHA384"],
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    },
    Suite {
        openssl: "ECDHE-RSA-AES128-GCM-SHA256",
        iana: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        version: Version::Tls12,
        groups: &["aRSA", "AES128", "AES", "AESGCM", "SHA256"],
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    },
    Suite {
        openssl: "ECDHE-RSA-CHACHA20-POLY1305",
        iana: "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        version: Version::Tls12,
        groups: &["aRSA", "CHACHA20"],
        suite: CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    },
];

/// Groups to which every suite of TLS 1.2 in [`SUITES`] belongs. `RSA` is not among them: in OpenSSL it means RSA key
/// exchange, which none of them uses.
const COMMON_GROUPS: [&str; 10] =
    ["ALL", "DEFAULT", "HIGH", "TLSv1.2", "ECDH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "FIPS"];

/// Groups of OpenSSL none of whose suites are in [`SUITES`].
const EMPTY_GROUPS: [&str; 67] = [
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "MEDIUM",
    "LOW",
    "EXP",
    "EXPORT",
    "EXPORT40",
    "EXPORT56",
    "NULL",
    "eNULL",
    "aNULL",
    "RSA",
    "kRSA",
    "DH",
    "DHE",
    "EDH",
    "kDHE",
    "kEDH",
    "kDH",
    "kDHr",
    "kDHd",
    "aDH",
    "ADH",
    "AECDH",
    "kECDH",
    "kECDHe",
    "kECDHr",
    "aECDH",
    "DSS",
    "aDSS",
    "PSK",
    "kPSK",
    "kRSAPSK",
    "kECDHEPSK",
    "kDHEPSK",
    "aPSK",
    "SRP",
    "kSRP",
    "aSRP",
    "GOST",
    "kGOST",
    "aGOST",
    "aGOST01",
    "GOST94",
    "GOST89MAC",
    "SSLv2",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "AESCCM",
    "AESCCM8",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "DES",
    "3DES",
    "RC2",
    "RC4",
    "IDEA",
    "SEED",
    "MD5",
    "SHA",
    "SHA1",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The OpenSSL names of the suites that a list selects. Those of TLS 1.3 are left out if all of them are selected.
    fn names(list: &str) -> Vec<&'static str> {
        let selection = select(list).unwrap();
        let named = |suite: &&Suite| selection.suites.contains(&suite.suite);
        let names: Vec<_> = SUITES.iter().filter(named).map(|suite| suite.openssl).collect();
        match names.strip_prefix(&[
            "TLS_AES_256_GCM_SHA384",
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
        ]) {
            Some(rest) => rest.to_vec(),
            None => names,
        }
    }

    #[test]
    fn suites_go_by_either_name() {
        let expected = vec!["ECDHE-RSA-AES128-GCM-SHA256"];
        assert_eq!(names("ECDHE-RSA-AES128-GCM-SHA256"), expected);
        assert_eq!(names("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), expected);
    }

    #[test]
    fn a_list_of_tls_12_leaves_tls_13_alone() {
        let selection = select("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
        assert_eq!(selection.suites.len(), 4);
        let all = select("ALL").unwrap();
        assert_eq!(all.suites.len(), SUITES.len());
    }

    #[test]
    fn whoever_names_suites_of_tls_13_gets_those() {
        let selection = select("TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-GCM-SHA256").unwrap();
        assert_eq!(selection.suites.len(), 2);
        assert_eq!(names("TLS_AES_128_GCM_SHA256"), ["TLS_AES_128_GCM_SHA256"]);
        let without = select("HIGH:!TLS_CHACHA20_POLY1305_SHA256").unwrap();
        assert_eq!(without.suites.len(), SUITES.len() - 1);
    }

    #[test]
    fn groups_are_joined_and_taken_away_as_openssl_does() {
        assert_eq!(
            names("ECDHE+AESGCM:!ECDSA"),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(names("EECDH+CHACHA20+aECDSA"), ["ECDHE-ECDSA-CHACHA20-POLY1305"]);
        assert_eq!(names("AES128:-ECDSA"), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(names("HIGH:-AES:ECDHE-RSA-AES128-GCM-SHA256:!aECDSA").len(), 2);
        // Banned for good, even if named again.
        assert_eq!(names("AESGCM:!AES256:AES256:!ECDSA"), ["ECDHE-RSA-AES128-GCM-SHA256"]);
        assert_eq!(names("HIGH:!aNULL:!MD5:+AES256:@STRENGTH:@SECLEVEL=2").len(), 6);
    }

    #[test]
    fn lists_written_for_openssl_are_understood() {
        let node = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:\
            ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:\
            ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA256:DHE-RSA-AES128-SHA256:\
            ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA384:ECDHE-RSA-AES256-SHA256:DHE-RSA-AES256-SHA256:HIGH:!aNULL:\
            !eNULL:!EXPORT:!DES:!RC4:!MD5:!PSK:!SRP:!CAMELLIA";
        let selection = select(node).unwrap();
        assert_eq!(selection.suites.len(), SUITES.len());
        assert!(selection.unavailable.contains(&"DHE-RSA-AES128-GCM-SHA256".to_owned()));
    }

    #[test]
    fn an_unknown_name_is_refused() {
        for list in
            ["ECDHE-RSA-AES128-GCM-SHA255", "HIGH:!aNUL", "HIGH+", "@STRENGHT", "ECDHE+AESGMC", "é", "!"]
        {
            assert!(matches!(select(list), Err(SuitesError::Unknown(_))), "{list}");
        }
    }

    #[test]
    fn a_list_of_which_nothing_is_left_is_refused() {
        for list in ["", ":", "RC4-SHA", "DES-CBC3-SHA:AES128-SHA", "HIGH:!ALL", "aNULL", "!aNULL"] {
            assert_eq!(select(list), Err(SuitesError::Empty), "{list}");
        }
    }

    #[test]
    fn names_are_unambiguous() {
        for suite in &SUITES {
            assert!(!suite_names::is_unavailable(suite.openssl), "{}", suite.openssl);
            assert!(!suite_names::is_unavailable(suite.iana), "{}", suite.iana);
            assert!(suite.groups.iter().all(|group| !EMPTY_GROUPS.contains(group)), "{}", suite.openssl);
        }
        assert!(COMMON_GROUPS.iter().all(|group| !EMPTY_GROUPS.contains(group)));
    }
}
