//! Reading the forms in which hashes come, and bounding what verifying them costs.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::ForeignHashError::{self, Malformed, TooCostly};
use super::{BASE64_BCRYPT, HASH_BYTES, Prf, Scheme, ScryptCost};

/// bcrypt's own least, and the most that is taken here.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=14;
/// Of PBKDF2, for every block of output.
const MOST_PBKDF2_ITERATIONS: u64 = 2_000_000;

/// Both paddings, because other systems differ in it; not a bit more than the canonical ones otherwise.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a text of printable ASCII.
pub(super) fn read(text: &str) -> Result<Scheme, ForeignHashError> {
    // Django's BCryptPasswordHasher puts a name of its own in front.
    let text = text.strip_prefix("bcrypt$").unwrap_or(text);
    let fields: Vec<&str> = text.split('$').collect();
    match fields.as_slice() {
        ["", version @ ("2a" | "2b" | "2y"), cost, salt_and_hash] => bcrypt(version, cost, salt_and_hash),
        ["", "pbkdf2-sha1", cost, salt, hash] => pbkdf2_phc(Prf::Sha1, cost, salt, hash),
        ["", "pbkdf2-sha256", cost, salt, hash] => pbkdf2_phc(Prf::Sha256, cost, salt, hash),
        ["", "pbkdf2-sha512", cost, salt, hash] => pbkdf2_phc(Prf::Sha512, cost, salt, hash),
        ["", "scrypt", cost, salt, hash] => scrypt_phc(false, cost, salt, hash),
        ["", "scrypt-nfkc", cost, salt, hash] => scrypt_phc(true, cost, salt, hash),
        ["", "fbscrypt", parameters, salt, hash] => firebase(parameters, salt, hash),
        ["pbkdf2_sha256", iterations, salt, hash] => django(Prf::Sha256, iterations, salt, hash),
        ["pbkdf2_sha1", iterations, salt, hash] => django(Prf::Sha1, iterations, salt, hash),
        [text] => match text.split_once(':') {
            Some((salt, key)) => better_auth(salt, key),
            None => aspnet(text),
        },
        _ => Err(ForeignHashError::Unknown),
    }
}

/// `$2b$12$` and 22 characters of salt, 31 of hash.
fn bcrypt(version: &str, cost: &str, salt_and_hash: &str) -> Result<Scheme, ForeignHashError> {
    let cost = decimal(cost.strip_prefix('0').unwrap_or(cost)).ok_or(Malformed("the cost"))?;
    if !BCRYPT_COSTS.contains(&cost) {
        return Err(TooCostly("bcrypt is taken with a cost of 4 to 14"));
    }
    let (salt, hash) = salt_and_hash.split_at_checked(22).ok_or(Malformed("the length"))?;
    let decode = |text: &str| BASE64_BCRYPT.decode(text).ok();
    let salt = decode(salt).and_then(|salt| salt.try_into().ok()).ok_or(Malformed("the salt"))?;
    let hash = decode(hash).and_then(|hash| hash.try_into().ok()).ok_or(Malformed("the hash"))?;
    Ok(Scheme::Bcrypt { version: version.chars().last().unwrap_or('b'), cost, salt, hash })
}

/// `i=ITERATIONS`, optionally with the length behind it; or as passlib writes it, the bare number and `.` for `+`.
fn pbkdf2_phc(prf: Prf, cost: &str, salt: &str, hash: &str) -> Result<Scheme, ForeignHashError> {
    let Some(parameters) = cost.strip_prefix("i=") else {
        let [salt, hash] = [salt, hash].map(|text| text.replace('.', "+"));
        return pbkdf2(prf, cost, base64(&salt, "the salt")?, base64(&hash, "the hash")?);
    };
    let (iterations, length) = parameters.split_once(",l=").unzip();
    let hash = base64(hash, "the hash")?;
    if length.is_some_and(|length| decimal(length) != Some(hash.len())) {
        return Err(Malformed("the length"));
    }
    pbkdf2(prf, iterations.unwrap_or(parameters), base64(salt, "the salt")?, hash)
}

/// `pbkdf2_sha256$ITERATIONS$SALT$HASH`, whose salt is used as the text it is (django/contrib/auth/hashers.py).
fn django(prf: Prf, iterations: &str, salt: &str, hash: &str) -> Result<Scheme, ForeignHashError> {
    pbkdf2(prf, iterations, salt.as_bytes().to_vec(), base64(hash, "the hash")?)
}

/// ASP.NET Core Identity: base64 of a marker, parameters, salt and subkey (PasswordHasher.cs in dotnet/aspnetcore).
fn aspnet(text: &str) -> Result<Scheme, ForeignHashError> {
    let bytes = BASE64.decode(text).map_err(|_| ForeignHashError::Unknown)?;
    match bytes.split_first() {
        // Version 2: HMAC-SHA1, 1000 iterations, 16 bytes of salt, 32 of subkey.
        Some((0, rest)) if rest.len() == 48 => {
            let (salt, hash) = rest.split_at_checked(16).ok_or(Malformed("the length"))?;
            pbkdf2(Prf::Sha1, "1000", salt.to_vec(), hash.to_vec())
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
            pbkdf2(prf, &iterations.to_string(), salt.to_vec(), hash.to_vec())
        }
        _ => Err(ForeignHashError::Unknown),
    }
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u32::from_be_bytes(*number), rest))
}

fn pbkdf2(prf: Prf, iterations: &str, salt: Vec<u8>, hash: Vec<u8>) -> Result<Scheme, ForeignHashError> {
    check_length(&hash)?;
    let iterations: u32 =
        decimal(iterations).filter(|iterations| *iterations > 0).ok_or(Malformed("the iterations"))?;
    let blocks = hash.len().div_ceil(prf.output_bytes()) as u64;
    // Of SHA-512 one takes as long as two of the others.
    let weight = if matches!(prf, Prf::Sha512) { 2 } else { 1 };
    if u64::from(iterations).saturating_mul(blocks).saturating_mul(weight) > MOST_PBKDF2_ITERATIONS {
        return Err(TooCostly(
            "PBKDF2 is taken with up to 2000000 iterations, of SHA-512 1000000, for all blocks of the hash together",
        ));
    }
    Ok(Scheme::Pbkdf2 { prf, iterations, salt, hash })
}

/// `ln=LOG2_N,r=R,p=P`.
fn scrypt_phc(nfkc: bool, cost: &str, salt: &str, hash: &str) -> Result<Scheme, ForeignHashError> {
    let (log_n, rest) = parameter(cost, "ln=");
    let (r, rest) = parameter(rest, "r=");
    let (p, rest) = parameter(rest, "p=");
    let (Some(log_n), Some(r), Some(p), "") = (log_n.and_then(decimal), r.and_then(decimal), p.and_then(decimal), rest)
    else {
        return Err(Malformed("the parameters"));
    };
    let cost = ScryptCost::bounded(log_n, r, p)?;
    let hash = base64(hash, "the hash")?;
    check_length(&hash)?;
    Ok(Scheme::Scrypt { cost, nfkc, salt: base64(salt, "the salt")?, hash })
}

/// `SALT:KEY`, both hexadecimal, of which the salt is used as the text it is. The parameters are not in it: N=16384, r=16,
/// p=1, over the password in NFKC (packages/better-auth/src/crypto/password.ts in better-auth/better-auth).
fn better_auth(salt: &str, key: &str) -> Result<Scheme, ForeignHashError> {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if (salt.len(), key.len()) != (32, 128) || !is_hex(salt) || !is_hex(key) {
        return Err(ForeignHashError::Unknown);
    }
    let hash = key.as_bytes().chunks(2).filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let cost = ScryptCost::bounded(14, 16, 1)?;
    Ok(Scheme::Scrypt { cost, nfkc: true, salt: salt.as_bytes().to_vec(), hash: hash.collect() })
}

/// The form of Supabase Auth (internal/crypto/password.go in supabase/auth).
fn firebase(parameters: &str, salt: &str, hash: &str) -> Result<Scheme, ForeignHashError> {
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
    let hash = base64(hash, "the hash")?;
    check_length(&hash)?;
    if signer_key.len() != hash.len() {
        return Err(Malformed("the signer key and the hash are not of one length"));
    }
    Ok(Scheme::Firebase { cost, separator, signer_key, salt: base64(salt, "the salt")?, hash })
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

fn check_length(hash: &[u8]) -> Result<(), ForeignHashError> {
    if HASH_BYTES.contains(&hash.len()) { Ok(()) } else { Err(Malformed("the hash is not 16 to 64 bytes long")) }
}
