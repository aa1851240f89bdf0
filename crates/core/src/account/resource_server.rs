//! Resource servers, which may introspect tokens (RFC 7662 §2.1). Each authenticates with its own secret.
//!
//! A secret is generated from 32 random bytes, so it cannot be guessed and a plain SHA-256 of it may be public. Slow hashes are needed
//! only for passwords that users choose.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::strict_json;

/// Length of a SHA-256 hash, in bytes.
const HASH_LEN: usize = 32;
/// Maximum length of an id, in bytes.
const MAX_ID_LEN: usize = 64;

/// The resource servers of a deployment. Ids and secrets are unique.
#[derive(Default)]
pub struct ResourceServers(Vec<ResourceServer>);

/// A resource server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceServer {
    /// The id by which it authenticates.
    pub id: String,
    /// The `aud` claim of the tokens that it may introspect.
    pub audience: String,
    secret_sha256: [u8; HASH_LEN],
}

/// Why a list is invalid. Names an entry by its position and never shows a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResourceServerError {
    /// Not a JSON array, or an object has duplicate members.
    NotAList,
    /// The entry at this position, counted from 1, is invalid for this reason.
    Server(usize, &'static str),
}

/// Why a client is not authenticated. The response is the same for both reasons.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAuthError {
    /// There is no such id.
    UnknownId,
    /// The secret is wrong.
    WrongSecret,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    secret_sha256: String,
    audience: String,
}

impl ResourceServers {
    /// Reads a JSON array of objects with `id`, `secret_sha256` (base64url) and `audience`.
    ///
    /// # Errors
    /// [`ResourceServerError`] of the first invalid entry.
    pub fn parse(json: &str) -> Result<Self, ResourceServerError> {
        let elements = strict_json::parse_array(json.as_bytes()).ok_or(ResourceServerError::NotAList)?;
        let mut servers: Vec<ResourceServer> = Vec::new();
        for (position, element) in (1..).zip(elements) {
            let server = ResourceServer::parse(element).map_err(|why| ResourceServerError::Server(position, why))?;
            if servers.iter().any(|other| other.id == server.id) {
                return Err(ResourceServerError::Server(position, "the same \"id\" occurs twice"));
            }
            if servers.iter().any(|other| other.secret_sha256 == server.secret_sha256) {
                return Err(ResourceServerError::Server(position, "the same secret occurs twice"));
            }
            servers.push(server);
        }
        Ok(Self(servers))
    }

    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Finds the server with this id and secret.
    ///
    /// # Errors
    /// [`ClientAuthError`] if the id is unknown or the secret wrong.
    pub fn authenticate(&self, id: &str, secret: &str) -> Result<&ResourceServer, ClientAuthError> {
        // Hash before the lookup, so that an unknown id takes the same time.
        let hash: [u8; HASH_LEN] = Sha256::digest(secret).into();
        let server = self.0.iter().find(|server| server.id == id).ok_or(ClientAuthError::UnknownId)?;
        if server.secret_sha256.ct_eq(&hash).into() { Ok(server) } else { Err(ClientAuthError::WrongSecret) }
    }
}

impl ResourceServer {
    fn parse(element: Value) -> Result<Self, &'static str> {
        if !element.is_object() {
            return Err("it is not a JSON object");
        }
        let Entry { id, secret_sha256, audience } = serde_json::from_value(element).map_err(
            |_| "it must have exactly the members \"id\", \"secret_sha256\" and \"audience\", all of them text",
        )?;
        // Unreserved characters, which stay the same whether they are form-urlencoded or not.
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if id.is_empty() || id.len() > MAX_ID_LEN || !id.bytes().all(unreserved) {
            return Err("\"id\" must be 1 to 64 letters, digits, hyphens, dots, underscores and tildes");
        }
        if audience.is_empty() {
            return Err("\"audience\" is empty");
        }
        let secret_sha256 = BASE64_URL_SAFE_NO_PAD
            .decode(secret_sha256)
            .ok()
            .and_then(|bytes| <[u8; HASH_LEN]>::try_from(bytes).ok())
            .ok_or("\"secret_sha256\" must be 32 bytes, in base64url without padding")?;
        if secret_sha256 == <[u8; HASH_LEN]>::from(Sha256::digest("")) {
            return Err("\"secret_sha256\" is the hash of the empty text");
        }
        Ok(Self { id, audience, secret_sha256 })
    }
}

impl std::fmt::Display for ResourceServerError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAList => formatter.write_str("not a JSON array [{...}] without duplicate members"),
            Self::Server(position, why) => write!(formatter, "server {position}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ClientAuthError, ResourceServerError, ResourceServers};

    /// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
    const HASH_OF_ABC: &str = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
    /// SHA-256 of the empty text.
    const HASH_OF_NOTHING: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    /// SHA-256 of "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" (the same, B.2).
    const HASH_OF_LONG: &str = "JI1qYdIGOLjlwCaTDD5gOaM85Flk_yFn9uzt1BnbBsE";

    fn server() -> Value {
        json!({"id": "orders-api", "secret_sha256": HASH_OF_ABC, "audience": "https://api.example.org"})
    }

    fn with(mut server: Value, member: &str, value: Value) -> Value {
        server[member] = value;
        server
    }

    fn error(list: &Value) -> ResourceServerError {
        ResourceServers::parse(&list.to_string()).err().unwrap()
    }

    #[test]
    fn only_the_secret_of_the_same_server_is_accepted() {
        let billing = with(with(server(), "id", json!("billing")), "secret_sha256", json!(HASH_OF_LONG));
        let servers = ResourceServers::parse(&json!([server(), billing]).to_string()).ok().unwrap();
        let found = servers.authenticate("orders-api", "abc").unwrap();
        assert_eq!((found.id.as_str(), found.audience.as_str()), ("orders-api", "https://api.example.org"));
        for secret in ["", "ab", "abcd", "ABC", " abc", HASH_OF_ABC] {
            assert_eq!(servers.authenticate("orders-api", secret), Err(ClientAuthError::WrongSecret), "{secret}");
        }
        assert_eq!(servers.authenticate("billing", "abc"), Err(ClientAuthError::WrongSecret));
        for id in ["", "orders", "Orders-api", "orders-api "] {
            assert_eq!(servers.authenticate(id, "abc"), Err(ClientAuthError::UnknownId), "{id}");
        }
        let empty = ResourceServers::parse("[]").ok().unwrap();
        assert!(empty.is_empty() && !servers.is_empty());
        assert_eq!(empty.authenticate("", ""), Err(ClientAuthError::UnknownId));
    }

    #[test]
    fn an_invalid_list_is_refused() {
        for bad in ["", "null", "{}", "[", "[] x", "\"[]\"", r#"[{"id":"a","id":"b"}]"#] {
            assert_eq!(ResourceServers::parse(bad).err(), Some(ResourceServerError::NotAList), "{bad}");
        }
    }

    #[test]
    fn every_member_is_checked() {
        let mut extra = server();
        extra["scope"] = json!("read");
        let mut lacking = server();
        lacking.as_object_mut().unwrap().remove("audience");
        let long = "a".repeat(65);
        let bad = [
            extra,
            lacking,
            json!(["orders-api", HASH_OF_ABC, "https://api.example.org"]),
            json!("orders-api"),
            with(server(), "id", json!("")),
            with(server(), "id", json!("orders api")),
            with(server(), "id", json!("orders:api")),
            with(server(), "id", json!("orders+api")),
            with(server(), "id", json!("\u{e4}")),
            with(server(), "id", json!(long)),
            with(server(), "id", json!(1)),
            with(server(), "audience", json!("")),
            with(server(), "audience", json!(["https://api.example.org"])),
            with(server(), "secret_sha256", json!("abc")),
            with(server(), "secret_sha256", json!("")),
            with(server(), "secret_sha256", json!(format!("{HASH_OF_ABC}="))),
            with(server(), "secret_sha256", json!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")),
            with(server(), "secret_sha256", json!(HASH_OF_NOTHING)),
        ];
        for bad in bad {
            assert!(matches!(error(&json!([bad])), ResourceServerError::Server(1, _)), "{bad}");
        }
        let other = with(server(), "secret_sha256", json!(HASH_OF_LONG));
        let twice = |second| error(&json!([server(), second]));
        assert_eq!(twice(other), ResourceServerError::Server(2, "the same \"id\" occurs twice"));
        let other = with(server(), "id", json!("billing"));
        assert_eq!(twice(other), ResourceServerError::Server(2, "the same secret occurs twice"));
    }
}
