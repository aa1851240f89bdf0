//! Claims that describe the user of an access token.

use serde::Serialize;

use crate::account::metadata::{MAX_CLAIM_BYTES, Metadata};

/// Optional claims about the user, which save resource servers a request. No decision depends on them, so they are not parsed back.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Debug)]
pub struct Profile<'a> {
    /// The e-mail address, and whether it is verified.
    #[serde(flatten)]
    pub email: Option<EmailClaims<'a>>,
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// The username (`OpenID` Connect Core §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<&'a str>,
    /// The given name (`OpenID` Connect Core §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<&'a str>,
    /// The family name (`OpenID` Connect Core §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<&'a str>,
    /// The metadata that only admins may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_metadata: Option<&'a Metadata>,
    /// The metadata that the user may change. No decision may depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_metadata: Option<&'a Metadata>,
}

/// The claims about an e-mail address. `email_verified` is always present, because libraries may treat a missing one as verified.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
pub struct EmailClaims<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// Whether the user has proved ownership of the address.
    pub email_verified: bool,
}

/// A claim of [`Profile`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfileClaim {
    /// `email` and `email_verified`.
    Email,
    /// `name`.
    Name,
    /// `preferred_username`.
    PreferredUsername,
    /// `given_name`.
    GivenName,
    /// `family_name`.
    FamilyName,
    /// `app_metadata`.
    AppMetadata,
    /// `user_metadata`.
    UserMetadata,
}

impl ProfileClaim {
    /// Parses the name of a claim.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "email" => Some(Self::Email),
            "name" => Some(Self::Name),
            "preferred_username" => Some(Self::PreferredUsername),
            "given_name" => Some(Self::GivenName),
            "family_name" => Some(Self::FamilyName),
            "app_metadata" => Some(Self::AppMetadata),
            "user_metadata" => Some(Self::UserMetadata),
            _ => None,
        }
    }
}

impl Profile<'_> {
    /// Keeps only these claims. Omits metadata if it exceeds [`MAX_CLAIM_BYTES`] in total, that of the user first.
    #[must_use]
    pub fn only(self, claims: &[ProfileClaim]) -> Self {
        let is_kept = |claim: ProfileClaim| claims.contains(&claim);
        let mut remaining = MAX_CLAIM_BYTES;
        let mut keeps = |metadata: Option<&'_ Metadata>, claim: ProfileClaim| {
            let left =
                metadata.filter(|_| is_kept(claim)).and_then(|metadata| remaining.checked_sub(metadata.as_str().len()));
            remaining = left.unwrap_or(remaining);
            left.is_some()
        };
        let keeps_app_metadata = keeps(self.app_metadata, ProfileClaim::AppMetadata);
        let keeps_user_metadata = keeps(self.user_metadata, ProfileClaim::UserMetadata);
        Self {
            email: self.email.filter(|_| is_kept(ProfileClaim::Email)),
            name: self.name.filter(|_| is_kept(ProfileClaim::Name)),
            preferred_username: self.preferred_username.filter(|_| is_kept(ProfileClaim::PreferredUsername)),
            given_name: self.given_name.filter(|_| is_kept(ProfileClaim::GivenName)),
            family_name: self.family_name.filter(|_| is_kept(ProfileClaim::FamilyName)),
            app_metadata: self.app_metadata.filter(|_| keeps_app_metadata),
            user_metadata: self.user_metadata.filter(|_| keeps_user_metadata),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Profile, ProfileClaim};
    use crate::account::metadata::{MAX_CLAIM_BYTES, Metadata};

    fn metadata(length: usize) -> Metadata {
        Metadata::from_stored(format!(r#"{{"x":"{}"}}"#, "a".repeat(length - 8)))
    }

    #[test]
    fn only_the_named_claims_are_kept() {
        let own = metadata(20);
        let profile = Profile {
            name: Some("Ada"),
            given_name: Some("Ada"),
            family_name: Some("Lovelace"),
            user_metadata: Some(&own),
            ..Profile::default()
        };
        let claims = |claims: &[ProfileClaim]| serde_json::to_value(profile.only(claims)).unwrap();
        assert_eq!(claims(&[]), json!({}));
        assert_eq!(claims(&[ProfileClaim::FamilyName, ProfileClaim::AppMetadata]), json!({"family_name": "Lovelace"}));
        assert_eq!(claims(&[ProfileClaim::UserMetadata]), json!({"user_metadata": {"x": "a".repeat(12)}}));
    }

    #[test]
    fn a_token_carries_at_most_1024_bytes_of_metadata() {
        let kept = |app: usize, user: usize| {
            let (app, user) = (metadata(app), metadata(user));
            let profile = Profile { app_metadata: Some(&app), user_metadata: Some(&user), ..Profile::default() };
            let profile = profile.only(&[ProfileClaim::UserMetadata, ProfileClaim::AppMetadata]);
            (profile.app_metadata.is_some(), profile.user_metadata.is_some())
        };
        assert_eq!(kept(MAX_CLAIM_BYTES - 100, 100), (true, true));
        assert_eq!(kept(MAX_CLAIM_BYTES - 100, 101), (true, false));
        assert_eq!(kept(MAX_CLAIM_BYTES + 1, MAX_CLAIM_BYTES), (false, true));
        assert_eq!(kept(MAX_CLAIM_BYTES + 1, MAX_CLAIM_BYTES + 1), (false, false));
    }
}
