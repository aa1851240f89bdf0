//! Verifies the access tokens of Portcullis by the rules that Portcullis itself applies.
//!
//! | feature | for | signatures |
//! |---|---|---|
//! | `native` | any server | ES256, `EdDSA` |
//! | `axum` | servers on axum: `axum::AccessTokenLayer`, and [`Claims`] as an extractor; includes `native` | ES256, `EdDSA` |
//! | `workers` | Workers in Rust; Portcullis itself verifies with its module `subtle` | ES256, `EdDSA`, RS256 |
//!
//! A [`Verifier`] fetches the keys of the issuer when it needs them. You pass the function that fetches, so that you can choose the
//! HTTP client. The verifier uses the keys for five minutes, or for an hour while the issuer does not answer. For an unknown key, it
//! fetches them again at most once in thirty seconds. Until a fetch has succeeded, it refuses the token with
//! [`VerifyError::KeysUnavailable`], and the next fetch may begin after two seconds.
//!
#![cfg_attr(
    all(feature = "native", not(target_arch = "wasm32")),
    doc = r#"
```
use portcullis_verifier::{Assurance, Requirement, Verifier};

# async fn get(url: String) -> Result<String, std::io::Error> { Err(std::io::Error::other("offline")) }
# async fn example() -> Result<(), Box<dyn std::error::Error>> {
let verifier = Verifier::new("https://auth.example.com", "https://api.example.com", |url| get(url))?;

let claims = verifier.verify("eyJ…").await?;
claims.require_role("admin")?;
// For a sensitive operation: two factors, in the last five minutes.
claims.require(&Requirement { acr: Some(Assurance::Aal2), max_age: Some(300) })?;
println!("{} in session {}", claims.sub, claims.sid);
# Ok(())
# }
```
"#
)]
#![cfg_attr(test, expect(clippy::arithmetic_side_effects, reason = "a test may panic"))]

#[cfg(feature = "axum")]
pub mod axum;
mod claims;
mod error;
#[cfg(feature = "workers")]
pub mod subtle;
#[cfg(any(all(feature = "native", not(target_arch = "wasm32")), all(feature = "workers", target_arch = "wasm32")))]
mod verifier;

pub use claims::{Claims, Requirement};
pub use error::{BoxError, ConfigError, VerifyError, bearer_token};
pub use portcullis_core::id::Id;
pub use portcullis_core::sign_in::Assurance;
#[cfg(any(
    all(feature = "native", not(target_arch = "wasm32")),
    all(feature = "workers", target_arch = "wasm32")
))]
pub use verifier::Verifier;

/// The rules alone, for programs that verify signatures and manage keys themselves, as Portcullis does.
pub mod rules {
    pub use portcullis_core::token::access::{AccessToken, Parties, Purpose, Rejection, Unverified, VerifiedToken};
    pub use portcullis_core::token::algorithm::Algorithm;
    pub use portcullis_core::token::verifying_key::{VerifyingKey, parse_public_set};
}
