//! Reading the forms in which hashes come.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ForeignHashError::{self, Malformed, NotRead, Unknown};
use super::scheme::{BASE64_BCRYPT, Kind, Prf, Scheme, ScryptCost, bounded_bcrypt};

/// What is recognised by how it begins, and cannot be verified here.
const NOT_READ: [(&str, &str); 23] = [
    ("$wp$", "WordPress 6.8 and newer hash the password before bcrypt does"),
    ("$P$", "phpass, of WordPress before 6.8, is built on MD5"),
    ("$H$", "phpass, of phpBB, is built on MD5"),
    ("$S$", "Drupal 7 to 10.0 iterate SHA-512 in a way of their own"),
    ("U$S$", "Drupal 7 kept MD5 inside it when it was updated"),
    ("U$P$", "Drupal 7 kept MD5 inside it when it was updated"),
    ("bcrypt_sha256$", "Django's BCryptSHA256PasswordHasher hashes the password before bcrypt does"),
    ("$bcrypt-sha256$", "passlib's bcrypt_sha256 hashes the password before bcrypt does"),
    ("$2x$", "bcrypt of PHP before 5.3.7, which computed it wrong"),
    ("$1$", "crypt of Unix, built on MD5"),
    ("$apr1$", "crypt of Apache, built on MD5"),
    ("$5$", "crypt of Unix, built on SHA-256"),
    ("$6$", "crypt of Unix, built on SHA-512"),
    ("$7$", "scrypt in the form of crypt"),
    ("$y$", "yescrypt"),
    ("$gy$", "yescrypt"),
    ("md5$", "MD5 is as good as no hash"),
    ("sha1$", "one SHA-1 is as good as no hash"),
    ("unsalted_", "one hash without a salt is as good as none"),
    ("scrypt:", "Werkzeug's form of scrypt"),
    ("pbkdf2:", "Werkzeug's form of PBKDF2"),
    ("{", "a form of LDAP"),
    ("!", "Django's mark of an account without a password: leave the line out"),
];

/// Both paddings, because other systems differ in it; not a bit more than the canonical ones otherwise.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type Read = Result<(Scheme, Vec<u8>), ForeignHashError>;

/// Reads a text of printable ASCII.
pub(super) fn read(text: &str) -> Read {
    if let Some((_, what)) = NOT_READ.iter().find(|(start, _)| text.starts_with(start)) {
        return Err(NotRead(what));
    }
    // Django's BCryptPasswordHasher puts a name of its own in front.
    let text = text.strip_prefix("bcrypt$").unwrap_or(text);
    let fields: Vec<&str> = text.split('$').collect();
    match fields.as_slice() {
        ["", version @ ("2a" | "2b" | "2y"), cost, salt_and_hash] => {
            let (salt, hash) = salt_and_hash.split_at_checked(22).ok_or(Malformed("the length"))?;
            let hash = BASE64_BCRYPT.decode(hash).map_err(|_| Malformed("the hash"))?;
            Ok((bcrypt(version, cost, salt)?, hash))
        }
        // passlib's, which does not name SHA-1.
        ["", "pbkdf2", iterations, salt, hash] => passlib(Prf::Sha1, iterations, salt, hash),
        ["", id @ ("pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512"), cost, salt, hash] => {
            let prf = prf(id).ok_or(Unknown)?;
            match cost.strip_prefix("i=") {
                Some(parameters) => pbkdf2_phc(prf, parameters, salt, hash),
                None => passlib(prf, cost, salt, hash),
            }
        }
        ["", "scrypt" | "scrypt-nfkc", ..] => {
            let (scheme, hash) = text.rsplit_once('$').ok_or(Malformed("the length"))?;
            Ok((read_scheme(scheme)?, base64(hash, "the hash")?))
        }
        ["", "fbscrypt", ..] => {
            // As Firebase's own interface has it, and as its command writes it.
            let text = text.replace('-', "+").replace('_', "/");
            let (scheme, hash) = text.rsplit_once('$').ok_or(Malformed("the length"))?;
            Ok((read_scheme(scheme)?, base64(hash, "the hash")?))
        }
        ["pbkdf2_sha256", iterations, salt, hash] => django(Prf::Sha256, iterations, salt, hash),
        ["pbkdf2_sha1", iterations, salt, hash] => django(Prf::Sha1, iterations, salt, hash),
        [text] => match text.split_once(':') {
            Some((salt, key)) => better_auth(salt, key),
            None => aspnet(text),
        },
        _ => Err(Unknown),
    }
}

/// Reads the stored form of a scheme: all that stands in front of the hash.
pub(super) fn read_scheme(text: &str) -> Result<Scheme, ForeignHashError> {
    let fields: Vec<&str> = text.split('$').collect();
    match fields.as_slice() {
        ["", version @ ("2a" | "2b" | "2y"), cost, salt] => bcrypt(version, cost, salt),
        ["", "scrypt", cost, salt] => scrypt(false, cost, salt),
        ["", "scrypt-nfkc", cost, salt] => scrypt(true, cost, salt),
        ["", "fbscrypt", parameters, salt] => firebase(parameters, salt),
        ["", id, cost, salt] => {
            let prf = prf(id).ok_or(Unknown)?;
            let iterations = cost.strip_prefix("i=").ok_or(Malformed("the iterations"))?;
            pbkdf2(prf, iterations, base64(salt, "the salt")?)
        }
        _ => Err(Unknown),
    }
}

fn prf(id: &str) -> Option<Prf> {
    match id {
        "pbkdf2-sha1" => Some(Prf::Sha1),
        "pbkdf2-sha256" => Some(Prf::Sha256),
        "pbkdf2-sha512" => Some(Prf::Sha512),
        _ => None,
    }
}

/// `$2b$12$` and 22 characters of salt.
fn bcrypt(version: &str, cost: &str, salt: &str) -> Result<Scheme, ForeignHashError> {
    let cost = bounded_bcrypt(decimal(cost.strip_prefix('0').unwrap_or(cost)).ok_or(Malformed("the cost"))?)?;
    let salt = BASE64_BCRYPT.decode(salt).ok().and_then(|salt| salt.try_into().ok()).ok_or(Malformed("the salt"))?;
    Ok(Scheme(Kind::Bcrypt { version: version.chars().last().unwrap_or('b'), cost, salt }))
}

/// `i=ITERATIONS`, optionally with the length behind it.
fn pbkdf2_phc(prf: Prf, parameters: &str, salt: &str, hash: &str) -> Read {
    let (iterations, length) = parameters.split_once(",l=").unzip();
    let hash = base64(hash, "the hash")?;
    if length.is_some_and(|length| decimal(length) != Some(hash.len())) {
        return Err(Malformed("the length"));
    }
    Ok((pbkdf2(prf, iterations.unwrap_or(parameters), base64(salt, "the salt")?)?, hash))
}

/// The bare number, and `.` for `+` (passlib/handlers/pbkdf2.py).
fn passlib(prf: Prf, iterations: &str, salt: &str, hash: &str) -> Read {
    let [salt, hash] = [salt, hash].map(|text| text.replace('.', "+"));
    Ok((pbkdf2(prf, iterations, base64(&salt, "the salt")?)?, base64(&hash, "the hash")?))
}

/// `pbkdf2_sha256$ITERATIONS$SALT$HASH`, whose salt is used as the text it is (django/contrib/auth/hashers.py).
fn django(prf: Prf, iterations: &str, salt: &str, hash: &str) -> Read {
    Ok((pbkdf2(prf, iterations, salt.as_bytes().to_vec())?, base64(hash, "the hash")?))
}

/// ASP.NET Core Identity: base64 of a marker, parameters, salt and subkey (PasswordHasher.cs in dotnet/aspnetcore).
fn aspnet(text: &str) -> Read {
    let bytes = BASE64.decode(text).map_err(|_| Unknown)?;
    match bytes.split_first() {
        // Version 2: HMAC-SHA1, 1000 iterations, 16 bytes of salt, 32 of subkey.
        Some((0, rest)) if rest.len() == 48 => {
            let (salt, hash) = rest.split_at_checked(16).ok_or(Malformed("the length"))?;
            Ok((pbkdf2(Prf::Sha1, "1000", salt.to_vec())?, hash.to_vec()))
        }
        // Version 3: which HMAC, iterations and length of the salt, each four bytes, big-endian; then salt and subkey.
        Some((1, rest)) => {
            let (prf, rest) = split_u32(rest).ok_or(Malformed("the length"))?;
            let (iterations, rest) = split_u32(rest).ok_or(Malformed("the length"))?;
            let (salt_length, rest) = split_u32(rest).ok_or(Malformed("the length"))?;
            let prf = match prf {
                0 => Prf::Sha1,
                1 => Prf::Sha256,
                2 => Prf::Sha512,
                _ => return Err(Malformed("the hash function")),
            };
            let salt_length = usize::try_from(salt_length).map_err(|_| Malformed("the length"))?;
            let (salt, hash) = rest.split_at_checked(salt_length).ok_or(Malformed("the length"))?;
            Ok((pbkdf2(prf, &iterations.to_string(), salt.to_vec())?, hash.to_vec()))
        }
        _ => Err(Unknown),
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

fn pbkdf2(prf: Prf, iterations: &str, salt: Vec<u8>) -> Result<Scheme, ForeignHashError> {
    let iterations: u32 =
        decimal(iterations).filter(|iterations| *iterations > 0).ok_or(Malformed("the iterations"))?;
    Ok(Scheme(Kind::Pbkdf2 { prf, iterations, salt }))
}

/// `ln=LOG2_N,r=R,p=P`.
fn scrypt(nfkc: bool, cost: &str, salt: &str) -> Result<Scheme, ForeignHashError> {
    let (log_n, rest) = parameter(cost, "ln=");
    let (r, rest) = parameter(rest, "r=");
    let (p, rest) = parameter(rest, "p=");
    let (Some(log_n), Some(r), Some(p), "") = (log_n.and_then(decimal), r.and_then(decimal), p.and_then(decimal), rest)
    else {
        return Err(Malformed("the parameters"));
    };
    let cost = ScryptCost::bounded(log_n, r, p)?;
    Ok(Scheme(Kind::Scrypt { cost, nfkc, salt: base64(salt, "the salt")? }))
}

/// `SALT:KEY`, both hexadecimal, of which the salt is used as the text it is. The parameters are not in it: N=16384, r=16,
/// p=1, over the password in NFKC (packages/better-auth/src/crypto/password.ts in better-auth/better-auth).
fn better_auth(salt: &str, key: &str) -> Read {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if (salt.len(), key.len()) != (32, 128) || !is_hex(salt) || !is_hex(key) {
        return Err(Unknown);
    }
    let hash = key.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let cost = ScryptCost::bounded(14, 16, 1)?;
    Ok((Scheme(Kind::Scrypt { cost, nfkc: true, salt: salt.as_bytes().to_vec() }), hash.collect()))
}

/// The form of Supabase Auth (internal/crypto/password.go in supabase/auth).
fn firebase(parameters: &str, salt: &str) -> Result<Scheme, ForeignHashError> {
    let (version, rest) = parameter(parameters, "v=");
    let (log_n, rest) = parameter(rest, "n=");
    let (r, rest) = parameter(rest, "r=");
    let (p, rest) = parameter(rest, "p=");
    let (separator, rest) = parameter(rest, "ss=");
    let (signer_key, rest) = parameter(rest, "sk=");
    let (Some("1"), Some(log_n), Some(r), Some(p), Some(signer_key), "") =
        (version, log_n.and_then(decimal), r.and_then(decimal), p.and_then(decimal), signer_key, rest)
    else {
        return Err(Malformed("the parameters"));
    };
    let cost = ScryptCost::bounded(log_n, r, p)?;
    let separator = base64(separator.unwrap_or_default(), "the salt separator")?;
    let signer_key = base64(signer_key, "the signer key")?;
    Ok(Scheme(Kind::Firebase { cost, separator, signer_key, salt: base64(salt, "the salt")? }))
}

/// The value of the parameter that comes first if it has that name, and what follows behind the comma.
fn parameter<'a>(text: &'a str, name: &str) -> (Option<&'a str>, &'a str) {
    let Some(value_and_rest) = text.strip_prefix(name) else { return (None, text) };
    let (value, rest) = value_and_rest.split_once(',').unwrap_or((value_and_rest, ""));
    (Some(value), rest)
}

/// A decimal number in its one spelling.
fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

fn base64(text: &str, part: &'static str) -> Result<Vec<u8>, ForeignHashError> {
    BASE64.decode(text).map_err(|_| Malformed(part))
}
