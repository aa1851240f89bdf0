//! Claims that describe the user of an access token.

use serde::Serialize;

/// What an access token may say of its user beside who it is, for whoever needs it without asking. Nothing is
/// decided by it, so it is not read back.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Debug)]
pub struct Profile<'a> {
    /// The e-mail address, and whether it is verified.
    #[serde(flatten)]
    pub email: Option<EmailClaims<'a>>,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// The username; the claim is that of `OpenID` Connect Core §5.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<&'a str>,
}

/// The claims of an e-mail address. It is never in a token without `email_verified`: a library that finds none may take the
/// address for verified.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
pub struct EmailClaims<'a> {
    email: &'a str,
    email_verified: bool,
}

impl<'a> EmailClaims<'a> {
    /// The claims of an address as its user entered it, without any proof that the mailbox is theirs.
    #[must_use]
    pub const fn unverified(email: &'a str) -> Self {
        Self { email, email_verified: false }
    }
}

/// A claim of [`Profile`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProfileClaim {
    /// `email`, and with it `email_verified`.
    Email,
    /// `name`.
    Name,
    /// `preferred_username`.
    PreferredUsername,
}

impl ProfileClaim {
    /// The claim of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "email" => Some(Self::Email),
            "name" => Some(Self::Name),
            "preferred_username" => Some(Self::PreferredUsername),
            _ => None,
        }
    }
}

impl Profile<'_> {
    /// What of it these claims are for.
    #[must_use]
    pub fn only(self, claims: &[ProfileClaim]) -> Self {
        let kept = |claim: ProfileClaim| claims.contains(&claim);
        Self {
            email: self.email.filter(|_| kept(ProfileClaim::Email)),
            name: self.name.filter(|_| kept(ProfileClaim::Name)),
            preferred_username: self.preferred_username.filter(|_| kept(ProfileClaim::PreferredUsername)),
        }
    }
}
