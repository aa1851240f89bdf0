//! Parsing and limits of all formats. The published vectors are tested in the module of each algorithm.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use proptest::prelude::{any, prop_assert, proptest};

use super::{ImportedHash, ImportedHashError, Scheme};

/// 32 zero bytes in base64.
const HASH: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

pub fn parse(text: &str) -> ImportedHash {
    ImportedHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub fn error(text: &str) -> ImportedHashError {
    ImportedHash::parse(text).err().unwrap_or_else(|| panic!("{text} was read"))
}

/// Asserts that the hash verifies only that password, and that its stored form is stable.
pub fn assert_verifies(text: &str, password: &str) {
    let hash = parse(text);
    assert!(hash.verify(password), "{text}");
    for other in [format!("{password}x"), format!("x{password}"), format!("{password} "), password.to_uppercase() + "!"]
    {
        assert!(!hash.verify(&other), "{text} {other:?}");
    }
    let stored = hash.to_string();
    assert!(parse(&stored) == hash, "{stored}");
    assert_eq!(parse(&stored).to_string(), stored);
}

pub fn b64(hex: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    BASE64_STANDARD_NO_PAD.encode(hex.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>())
}

#[test]
fn a_text_that_shares_its_hash_with_another_is_not_read_whole() {
    let bcrypt = parse("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    assert!(bcrypt.scheme().algorithm().reads_whole(&"a".repeat(71)));
    assert!(!bcrypt.scheme().algorithm().reads_whole(&"a".repeat(72)));
    let nfkc = parse(&format!("$scrypt-nfkc$ln=4,r=8,p=1$c2FsdHNhbHQ${HASH}"));
    assert!(nfkc.scheme().algorithm().reads_whole("Jose\u{301}"));
    assert!(!nfkc.scheme().algorithm().reads_whole("\u{fb01}ne"));
    assert!(parse(&format!("$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ${HASH}")).scheme().algorithm().reads_whole("\u{fb01}ne"));
}

#[test]
fn a_scheme_is_the_stored_form_without_the_hash() {
    for text in [
        "$2b$05$abcdefghijklmnopqrstuugNuK9ETKQu/36F/tv.X7gt84Yn7bMl2",
        "$pbkdf2-sha1$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$pbkdf2-sha512$i=1000$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=14,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt-nfkc$ln=14,r=16,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAAAAAAAAAAAAAAAAAAAAAAAAA=$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ] {
        let (scheme, hash) = parse(text).into_parts();
        let alone = scheme.to_string();
        assert!(text.starts_with(&alone), "{alone}");
        assert!(Scheme::parse(&alone, hash.len()).is_ok_and(|again| again == scheme), "{alone}");
        for length in [0, 15, 65, usize::MAX] {
            assert!(Scheme::parse(&alone, length).is_err(), "{alone} {length}");
        }
    }
    // The cost depends on the length.
    assert!(Scheme::parse("$pbkdf2-sha256$i=1000001$c2FsdA", 32).is_ok());
    assert!(Scheme::parse("$pbkdf2-sha256$i=1000001$c2FsdA", 33).is_err());
    assert!(Scheme::parse("$pbkdf2_sha256$1000$c2FsdA", 32).is_err());
}

#[test]
fn an_unsupported_format_is_named() {
    let hash = "tyTrLqqwMUtH3BEcFnwbNOxPVrc5SLqpyNEQFJG1VIoMIjwJEWtCi";
    for (text, what) in [
        (format!("$wp$2y$10${hash}"), "WordPress 6.8"),
        ("$P$BVbptZxEcZV2yeLyYeN.O4ZeG8225d.".to_owned(), "phpass"),
        ("$S$DmIgFSpvp0JtdVdVh4GSNOyMUB3IZGXbnK5jd7DNGUyXTMm3hFhb".to_owned(), "Drupal"),
        (format!("bcrypt_sha256$$2b$12${hash}"), "BCryptSHA256"),
        (format!("$bcrypt-sha256$v=2,t=2b,r=12${hash}"), "passlib"),
        ("$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0".to_owned(), "MD5"),
        ("$6$rounds=5000$salt$hash".to_owned(), "SHA-512"),
        ("md5$salt$5f4dcc3b5aa765d61d8327deb882cf99".to_owned(), "MD5"),
        ("scrypt:32768:8:1$salt$00".to_owned(), "Werkzeug"),
        ("{SSHA}AAAA".to_owned(), "LDAP"),
        ("!ZvLMYWeyZkmkdAAhWXkHKcPBSMAKKlLUDVdOj9qX".to_owned(), "without a password"),
    ] {
        let error = error(&text);
        assert!(matches!(error, ImportedHashError::Unsupported(_)), "{text}: {error}");
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
}

#[test]
fn a_too_costly_hash_is_refused() {
    let bcrypt = |cost: u32| format!("$2b${cost:02}$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    let pbkdf2 = |prf: &str, i: u32, bytes: usize| format!("$pbkdf2-{prf}$i={i}$c2FsdA${}", b64(&"00".repeat(bytes)));
    let scrypt = |n: &str| format!("$scrypt${n}$c2FsdA${}", b64(&"00".repeat(32)));
    for accepted in [
        bcrypt(4),
        bcrypt(14),
        pbkdf2("sha256", 2_000_000, 32),
        pbkdf2("sha1", 1_000_000, 32),
        pbkdf2("sha512", 1_000_000, 64),
        scrypt("ln=1,r=64,p=16"),
        scrypt("ln=16,r=8,p=2"),
        scrypt("ln=14,r=32,p=2"),
        scrypt("ln=15,r=16,p=1"),
    ] {
        parse(&accepted);
    }
    for costly in [
        bcrypt(3),
        bcrypt(15),
        bcrypt(31),
        pbkdf2("sha256", 2_000_001, 32),
        pbkdf2("sha256", 1_000_001, 33),
        pbkdf2("sha1", 1_000_001, 32),
        pbkdf2("sha512", 1_000_001, 64),
        pbkdf2("sha512", u32::MAX, 64),
        scrypt("ln=1,r=65,p=1"),
        scrypt("ln=1,r=1,p=17"),
        scrypt("ln=1,r=262144,p=2"),
        scrypt("ln=17,r=8,p=1"),
        scrypt("ln=16,r=8,p=3"),
        scrypt("ln=1,r=1,p=4294967295"),
        scrypt("ln=1,r=4294967295,p=1"),
        scrypt("ln=63,r=8,p=1"),
        scrypt("ln=64,r=8,p=1"),
        scrypt("ln=255,r=1,p=1"),
    ] {
        assert!(matches!(error(&costly), ImportedHashError::TooCostly(_)), "{costly}");
    }
}

#[test]
fn an_invalid_hash_is_refused() {
    let hash = "y5LKPOplRmok7CZp/aqVDVg8zGI";
    for bad in [
        "",
        "password",
        "correct horse battery staple",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$2x$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e",
        "$2b$5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\u{e9}",
        "$2b$+5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$1$5pZSV9va$azfrPr6af3Fc7dLblQXVa0",
        "$6$rounds=5000$salt$hash",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "md5$salt$5f4dcc3b5aa765d61d8327deb882cf99",
        "!unusable",
        &format!("$pbkdf2-sha256$i=0$c2FsdA${hash}"),
        &format!("$pbkdf2-sha256$i=01$c2FsdA${hash}"),
        &format!("$pbkdf2-sha256$i=+1$c2FsdA${hash}"),
        &format!("$pbkdf2-sha256$i=4294967296$c2FsdA${hash}"),
        &format!("$pbkdf2-sha256$i=1,l=32$c2FsdA${hash}"),
        &format!("$pbkdf2-sha256$i=1$c2FsdA${hash}$"),
        &format!("$pbkdf2-sha256$i=1$c2Fsd${hash}"),
        &format!("$pbkdf2-md5$i=1$c2FsdA${hash}"),
        "$pbkdf2-sha256$i=1$c2FsdA$AAAA",
        &format!("pbkdf2_sha512$1$salt${hash}"),
        &format!("$scrypt$ln=14,r=8$c2FsdA${hash}"),
        &format!("$scrypt$ln=14,r=8,p=1,x=1$c2FsdA${hash}"),
        &format!("$scrypt$r=8,ln=14,p=1$c2FsdA${hash}"),
        &format!("$scrypt$ln=14,r=0,p=1$c2FsdA${hash}"),
        &format!("$scrypt$ln=14,r=8,p=0$c2FsdA${hash}"),
        &format!("$scrypt$ln=16,r=1,p=1$c2FsdA${hash}"),
        &format!("$fbscrypt$v=2,n=14,r=8,p=1,ss=Bw==,sk=AAAA$c2FsdA==${hash}="),
        &format!("$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==$c2FsdA==${hash}="),
        &format!("$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=AAAA$c2FsdA==${hash}="),
        "00112233445566778899aabbccddeeff:00",
        "AQAAAAMAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw",
        "AQAAAAIAAAAyAP//EOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw",
        "AQAAAAI=",
        &"A".repeat(1025),
    ] {
        let error = error(bad);
        assert!(!matches!(error, ImportedHashError::TooCostly(_)), "{bad}: {error}");
    }
}

fn cpu_micros(text: &str) -> u64 {
    parse(text).cpu_micros()
}

fn assert_rises(texts: &[String]) {
    let times: Vec<u64> = texts.iter().map(|text| cpu_micros(text)).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{texts:?}: {times:?}");
}

#[test]
fn every_cost_parameter_raises_the_cpu_time() {
    assert_rises(
        &[4, 5, 10, 14].map(|cost| format!("$2b${cost:02}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
    );
    for prf in ["sha1", "sha256", "sha512"] {
        assert_rises(&[1, 1000, 100_000].map(|i| format!("$pbkdf2-{prf}$i={i}$c2FsdA${HASH}")));
    }
    assert_rises(
        &["ln=1,r=1,p=1", "ln=14,r=8,p=1", "ln=15,r=8,p=1", "ln=15,r=16,p=1", "ln=15,r=16,p=2"]
            .map(|cost| format!("$scrypt${cost}$c2FsdA${HASH}")),
    );
    assert_rises(&[13, 14, 15].map(|n| format!("$fbscrypt$v=1,n={n},r=8,p=1,ss=Bw==,sk={HASH}=$c2FsdA==${HASH}=")));
}

#[test]
fn a_second_block_of_pbkdf2_costs_as_much_as_the_first() {
    let of = |bytes: usize| cpu_micros(&format!("$pbkdf2-sha256$i=100000$c2FsdA${}", "A".repeat(bytes * 4 / 3)));
    assert_eq!(of(18), of(30));
    assert!(of(36) > of(30) * 19 / 10, "{} {}", of(36), of(30));
}

#[test]
fn the_most_costly_hash_of_each_algorithm_takes_half_a_second_to_two() {
    let most_costly = [
        "$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW".to_owned(),
        format!("$pbkdf2-sha256$i=2000000$c2FsdA${HASH}"),
        format!("$pbkdf2-sha512$i=1000000$c2FsdA${HASH}"),
        format!("$scrypt$ln=16,r=8,p=2$c2FsdA${HASH}"),
    ];
    for text in most_costly {
        assert!((500_000..2_000_000).contains(&cpu_micros(&text)), "{text} {}", cpu_micros(&text));
    }
}

#[test]
fn nfkc_adds_no_cpu_time() {
    let [plain, nfkc] = ["scrypt", "scrypt-nfkc"].map(|id| cpu_micros(&format!("${id}$ln=14,r=16,p=1$c2FsdA${HASH}")));
    assert_eq!(plain, nfkc);
}

fn is_weak(text: &str) -> bool {
    parse(text).scheme().algorithm().is_weak()
}

#[test]
fn parameters_below_the_minimums_of_owasp_are_weak() {
    let hash = HASH;
    let bcrypt = |cost| format!("$2b${cost}$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    let pbkdf2 = |prf, i, hash| format!("$pbkdf2-{prf}$i={i}$c2FsdA${hash}");
    let scrypt = |cost| format!("$scrypt${cost}$c2FsdA${hash}");
    let short = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (weak, strong) in [
        (bcrypt("09"), bcrypt("10")),
        (pbkdf2("sha1", 1_299_999, short), pbkdf2("sha1", 1_300_000, short)),
        (pbkdf2("sha256", 599_999, hash), pbkdf2("sha256", 600_000, hash)),
        (pbkdf2("sha512", 209_999, hash), pbkdf2("sha512", 210_000, hash)),
        (scrypt("ln=13,r=8,p=1"), scrypt("ln=14,r=8,p=1")),
        (scrypt("ln=13,r=8,p=9"), scrypt("ln=13,r=8,p=10")),
        (scrypt("ln=12,r=8,p=16"), scrypt("ln=15,r=8,p=1")),
    ] {
        assert!(is_weak(&weak), "{weak}");
        assert!(!is_weak(&strong), "{strong}");
    }
}

proptest! {
    #[test]
    fn the_stored_form_of_any_hash_is_stable(
        text in any::<String>(),
        id in "(2b|pbkdf2-sha256|scrypt|fbscrypt)",
        rest in "[a-zA-Z0-9+/=,$]{0,120}",
        bytes in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        for text in [text, format!("${id}${rest}"), BASE64_STANDARD.encode(bytes)] {
            if let Ok(hash) = ImportedHash::parse(&text) {
                let stored = hash.to_string();
                prop_assert!(ImportedHash::parse(&stored).is_ok_and(|again| again == hash));
            }
        }
    }
}
