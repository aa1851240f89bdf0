//! The published vectors of every kind, and what is refused.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use proptest::prelude::{any, prop_assert, proptest};

use super::{ForeignHash, ForeignHashError, Scheme};

fn parse(text: &str) -> ForeignHash {
    ForeignHash::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> ForeignHashError {
    ForeignHash::parse(text).err().unwrap_or_else(|| panic!("{text} was read"))
}

/// Verifies that password and no other, and says so too when it has been stored.
fn assert_verifies(text: &str, password: &str) {
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

fn b64(hex: &str) -> String {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    BASE64_STANDARD_NO_PAD.encode(hex.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>())
}

#[test]
fn what_a_hash_does_not_read_is_known() {
    let bcrypt = parse("$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    assert!(bcrypt.scheme().reads_all_of(&"a".repeat(71)));
    assert!(!bcrypt.scheme().reads_all_of(&"a".repeat(72)));
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let nfkc = parse(&format!("$scrypt-nfkc$ln=4,r=8,p=1$c2FsdHNhbHQ${hash}"));
    assert!(nfkc.scheme().reads_all_of("Jose\u{301}"));
    assert!(!nfkc.scheme().reads_all_of("\u{fb01}ne"));
    assert!(parse(&format!("$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ${hash}")).scheme().reads_all_of("\u{fb01}ne"));
}

/// Those of jBCrypt, which are OpenBSD's, and of Openwall's `crypt_blowfish`; the last two were made with libxcrypt.
#[test]
fn bcrypt_vectors() {
    for (hash, password) in [
        ("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", ""),
        ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
        ("$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i", "abc"),
        ("$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC", "abcdefghijklmnopqrstuvwxyz"),
        ("$2a$06$fPIsBO8qRqkjj273rfaOI.HtSV9jLDpTbZn782DC6/t7qT67P6FfO", "~!@#$%^&*()      ~!@#$%^&*()PNBFRD"),
        ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
        ("$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"),
        ("$2b$05$abcdefghijklmnopqrstuugNuK9ETKQu/36F/tv.X7gt84Yn7bMl2", "\u{451}\u{ff} caf\u{e9}"),
        ("$2y$05$abcdefghijklmnopqrstuugNuK9ETKQu/36F/tv.X7gt84Yn7bMl2", "\u{451}\u{ff} caf\u{e9}"),
    ] {
        assert_verifies(hash, password);
        assert_eq!(parse(&format!("bcrypt${hash}")).to_string(), hash);
    }
}

#[test]
fn bcrypt_reads_72_bytes_and_no_nul() {
    // Openwall's; of what comes after 72 bytes nothing is read.
    let text = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let hash = parse("$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui");
    assert!(hash.verify(text));
    assert!(hash.verify(&format!("{text}chars after 72 are ignored")));
    assert!(!hash.verify(text.strip_suffix('9').unwrap()));
    let a = parse("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    for twin in ["a\0", "a\0a", "a\0a\0a", "a\0b", "\0a"] {
        assert!(!a.verify(twin), "{twin:?}");
    }
    assert!(!parse("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").verify("\0"));
}

#[test]
fn the_spare_bits_of_a_bcrypt_salt_mean_nothing() {
    let odd = parse("$2a$06$m0CrhHm10qJ3lXRY.5zDGP3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    assert!(odd.verify("a"));
    assert_eq!(odd.to_string(), "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
}

/// RFC 6070 (SHA-1) and RFC 7914 §11 (SHA-256). For SHA-512 see ASP.NET Core Identity's.
#[test]
fn pbkdf2_vectors() {
    let [salt, long_salt, nul_salt] =
        ["salt", "saltSALTsaltSALTsaltSALTsaltSALTsalt", "sa\0lt"].map(|salt| BASE64_STANDARD_NO_PAD.encode(salt));
    for (prf, iterations, salt, hash, password) in [
        ("sha1", 1, &salt, "0c60c80f961f0e71f3a9b524af6012062fe037a6", "password"),
        ("sha1", 2, &salt, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957", "password"),
        ("sha1", 4096, &salt, "4b007901b765489abead49d926f721d065a429c1", "password"),
        ("sha1", 4096, &long_salt, "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038", "passwordPASSWORDpassword"),
        ("sha1", 4096, &nul_salt, "56fa6aa75548099dcc37d7f03425e0c3", "pass\0word"),
        (
            "sha256",
            1,
            &salt,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
             49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
            "passwd",
        ),
    ] {
        assert_verifies(&format!("$pbkdf2-{prf}$i={iterations}${salt}${}", b64(hash)), password);
    }
}

/// RFC 7914 §12, but for the one that takes a gigabyte.
#[test]
fn scrypt_vectors() {
    for (cost, salt, hash, password) in [
        (
            "ln=4,r=1,p=1",
            "",
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442\
             fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906",
            "",
        ),
        (
            "ln=10,r=8,p=16",
            "NaCl",
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162\
             2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            "password",
        ),
        (
            "ln=14,r=8,p=1",
            "SodiumChloride",
            "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2\
             d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            "pleaseletmein",
        ),
    ] {
        let salt = BASE64_STANDARD_NO_PAD.encode(salt);
        let hash = parse(&format!("$scrypt${cost}${salt}${}", b64(hash)));
        assert!(hash.verify(password), "{cost}");
    }
}

/// Those of firebase/scrypt's README.
#[test]
fn firebase_vector() {
    let text = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0\
                QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+V\
                HjoZilo78198JAdRuid5lQ==";
    let hash = parse(text);
    assert!(hash.verify("user1password"));
    assert_eq!(hash.to_string(), text);
}

/// Those of Django's `test_hashers.py`, the last of passlib's.
#[test]
fn django_vectors() {
    for (text, password) in [
        ("pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=", "l\u{e8}tmein"),
        ("pbkdf2_sha256$36000$seasalt$mEUPPFJkT/xtwDU8rB7Q+puHRZnR07WRjerTkt/3HI0=", "l\u{e8}tmein"),
        ("pbkdf2_sha1$10000$wz5B6WkasRoF$atJmJ1o+XfJxKq1+Nu1f1i57Z5I=", "not a password"),
    ] {
        assert_verifies(text, password);
    }
    assert_eq!(
        parse("pbkdf2_sha256$12000$seasalt$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s=").to_string(),
        "$pbkdf2-sha256$i=12000$c2Vhc2FsdA$Ybw8zsFxqja97tY/o6G+Fy1ksY4U/Hw3DRrGED6Up4s"
    );
}

/// Those of dotnet/aspnetcore, `PasswordHasherTest.cs`.
#[test]
fn aspnet_core_identity_vectors() {
    for text in [
        "ANXrDknc7fGPpigibZXXZFMX4aoqz44JveK6jQuwY3eH/UyPhvr5xTPeGYEckLxz9A==",
        "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJg==",
        "AQAAAAEAACcQAAAAEAABAgMEBQYHCAkKCwwNDg+yWU7rLgUwPZb1Itsmra7cbxw2EFpwpVFIEtP+JIuUEw==",
        "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHw",
        "AQAAAAIAAAD6AAAAIJbVi5wbMR+htSfFp8fTw8N8GOS/Sje+S/4YZcgBfU7EQuqv4OkVYmc4VJl9AGZzmRTxSkP7LtVi9IWyUxX8IAAfZ8v+ZfhjCcudtC1YERSqE1OEdXLW9VukPuJWBBjLuw==",
        "AQAAAAAAAAD6AAAAEAhftMyfTJylOlZT+eEotFXd1elee8ih5WsjXaR3PA9M",
    ] {
        assert_verifies(text, "my password");
    }
    for text in [
        "AAABAgMEBQYHCAkKCwwNDg+uAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAALtH1uJg==",
        "AQAAAAAAAAD6AAAAEAhftMyfTJyAAAAAAAAAAAAAAAAAAAih5WsjXaR3PA9M",
        "AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4B6pZWND6zgESBuWiHwAAAAAAAAAAAA",
    ] {
        assert!(!parse(text).verify("my password"), "{text}");
    }
    // Of a wrong length, which could not be verified.
    for text in [
        "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggE=",
        "AAABAgMEBQYHCAkKCwwNDg+ukCEMDf0yyQ29NYubggHIVY0sdEUfdyeM+E1LtH1uJgAAAAAAAAAAAAA=",
    ] {
        assert_eq!(error(text), ForeignHashError::Unknown, "{text}");
    }
    assert_eq!(
        error("AQAAAAIAAAAyAAAAEOMwvh3+FZxqkdMBz2ekgGhwQ4A="),
        ForeignHashError::Malformed("the hash is not 16 to 64 bytes long")
    );
}

/// Made with node's crypto.scrypt. The password is hashed in NFKC, in which the ligature is two letters.
#[test]
fn better_auth_vector() {
    let hash = parse(
        "000102030405060708090a0b0c0d0e0f:8273f742328b99913d6799200e34f1dc00acfd8ef457d2d326288af95214580c\
         61399d08e6b04f144bf3faabb1dc7b821dca41f92a305ae5f26b58dc9da7dfad",
    );
    assert!(hash.verify("\u{fb01}re and ice"));
    assert!(hash.to_string().starts_with("$scrypt-nfkc$ln=14,r=16,p=1$"));
}

#[test]
fn passlib_writes_the_same_in_its_own_way() {
    let text = "$pbkdf2-sha256$1000$..3.vw$y5LKPOplRmok7CZp.aqVDVg8zGI";
    assert_eq!(parse(text).to_string(), "$pbkdf2-sha256$i=1000$++3+vw$y5LKPOplRmok7CZp+aqVDVg8zGI");
    // Of SHA-1 it does not name the hash function. The hash is RFC 6070's.
    let hash = b64("4b007901b765489abead49d926f721d065a429c1");
    let text = format!("$pbkdf2$4096$c2FsdA${}", hash.replace('+', "."));
    assert_verifies(&text, "password");
    assert_eq!(parse(&text).to_string(), format!("$pbkdf2-sha1$i=4096$c2FsdA${hash}"));
}

#[test]
fn firebase_is_read_in_base64url_too() {
    let text = "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0\
                QsEmYUSDzZvpjeJ9WmXA==$42xEC+ixf3L2lw==$lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+V\
                HjoZilo78198JAdRuid5lQ==";
    let url_safe = text.replace('+', "-").replace('/', "_");
    assert_ne!(url_safe, text);
    assert_eq!(parse(&url_safe).to_string(), text);
    assert_eq!(parse(&url_safe.replace("==", "")).to_string(), text);
}

#[test]
fn a_scheme_is_what_stands_in_front_of_the_hash() {
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
    // The length counts for what it costs.
    assert!(Scheme::parse("$pbkdf2-sha256$i=1000001$c2FsdA", 32).is_ok());
    assert!(Scheme::parse("$pbkdf2-sha256$i=1000001$c2FsdA", 33).is_err());
    assert!(Scheme::parse("$pbkdf2_sha256$1000$c2FsdA", 32).is_err());
}

#[test]
fn what_is_known_and_not_read_is_told_by_its_name() {
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
        assert!(matches!(error, ForeignHashError::NotRead(_)), "{text}: {error}");
        assert!(error.to_string().contains(what), "{text}: {error}");
    }
}

#[test]
fn what_would_cost_too_much_is_refused_at_either_end() {
    let bcrypt = |cost: u32| format!("$2b${cost:02}$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe");
    let pbkdf2 = |prf: &str, i: u32, bytes: usize| format!("$pbkdf2-{prf}$i={i}$c2FsdA${}", b64(&"00".repeat(bytes)));
    let scrypt = |n: &str| format!("$scrypt${n}$c2FsdA${}", b64(&"00".repeat(32)));
    for taken in [
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
        parse(&taken);
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
        assert!(matches!(error(&costly), ForeignHashError::TooCostly(_)), "{costly}");
    }
}

#[test]
fn what_is_no_hash_is_refused() {
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
        assert!(!matches!(error, ForeignHashError::TooCostly(_)), "{bad}: {error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_the_stored_form_is_stable(
        text in any::<String>(),
        id in "(2b|pbkdf2-sha256|scrypt|fbscrypt)",
        rest in "[a-zA-Z0-9+/=,$]{0,120}",
        bytes in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        for text in [text, format!("${id}${rest}"), BASE64_STANDARD.encode(bytes)] {
            if let Ok(hash) = ForeignHash::parse(&text) {
                let stored = hash.to_string();
                prop_assert!(ForeignHash::parse(&stored).is_ok_and(|again| again == hash));
            }
        }
    }
}
