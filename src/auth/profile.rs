//! What people may tell about themselves beside the e-mail address: a username to log in by, and a name to show.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::{reserved_usernames, text};

/// In characters, all of them ASCII.
const USERNAME_LEN: std::ops::RangeInclusive<usize> = 3..=32;
/// In code points after NFC.
const MAX_NAME_CHARS: usize = 200;

/// A second name to log in by: 3 to 32 of ASCII letters, digits, `.`, `_` and `-`, beginning and ending with a letter
/// or digit. ASCII only, so that no two usernames look alike; no `@`, so that none is taken for an e-mail address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Username {
    text: String,
    key: String,
}

/// Why a text cannot be used as a username.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsernameError {
    /// It is none by that rule.
    Malformed,
    /// Nobody may choose it; see [`super::reserved_usernames`].
    Reserved,
}

impl Username {
    /// Reads a username by the rule above, which may be a reserved one: an import brings what people had.
    ///
    /// # Errors
    /// [`UsernameError::Malformed`] when the rule does not hold.
    pub fn parse(input: &str) -> Result<Self, UsernameError> {
        let edges = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let well_formed = USERNAME_LEN.contains(&input.len())
            && edges(input.chars().next())
            && edges(input.chars().next_back())
            && input.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !well_formed {
            return Err(UsernameError::Malformed);
        }
        Ok(Self { text: input.to_owned(), key: input.to_ascii_lowercase() })
    }

    /// A username that is being chosen.
    ///
    /// # Errors
    /// [`UsernameError`] names the rule that does not hold.
    pub fn chosen(input: &str) -> Result<Self, UsernameError> {
        Self::parse(input)
            .and_then(|username| if username.is_reserved() { Err(UsernameError::Reserved) } else { Ok(username) })
    }

    /// Whether nobody may choose it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        reserved_usernames::is_reserved(&self.key)
    }

    /// As it was entered.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What two usernames are compared by: lower case.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for UsernameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Malformed => {
                "The username must be 3 to 32 ASCII letters, digits, dots, underscores or hyphens, beginning and ending \
                 with a letter or digit."
            }
            Self::Reserved => "The username is reserved. Choose another.",
        })
    }
}

/// A name to show: trimmed, NFC, 1 to 200 code points, none of which changes the layout of the text around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(String);

/// The text is not a name by that rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameError;

impl Name {
    /// Reads a name by the rule above.
    ///
    /// # Errors
    /// [`NameError`] when the rule does not hold.
    pub fn parse(input: &str) -> Result<Self, NameError> {
        let name: String = input.trim().nfc().collect();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME_CHARS || name.chars().any(text::is_layout) {
            return Err(NameError);
        }
        Ok(Self(name))
    }

    /// The name, trimmed and in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is to become of a value, as RFC 7396 says it in JSON: an absent member leaves it, `null` takes it away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Edit<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away.
    Remove,
    /// It becomes this.
    Set(T),
}

impl<T> Edit<T> {
    /// Whether anything is to become of it.
    #[must_use]
    pub const fn is_edit(&self) -> bool {
        !matches!(self, Self::Keep)
    }

    /// What it becomes; `None` also where it stays as it is.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::Keep | Self::Remove => None,
        }
    }

    /// The same with the new value checked.
    ///
    /// # Errors
    /// Those of `check`.
    pub fn check<U, E>(self, check: impl FnOnce(T) -> Result<U, E>) -> Result<Edit<U>, E> {
        Ok(match self {
            Self::Keep => Edit::Keep,
            Self::Remove => Edit::Remove,
            Self::Set(value) => Edit::Set(check(value)?),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Edit<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("The name must be 1 to 200 characters, none of which controls the layout of text.")
    }
}

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

#[cfg(test)]
mod tests {
    use super::{Edit, Name, NameError, Username, UsernameError};

    #[test]
    fn usernames_are_kept_as_entered_and_compared_in_lower_case() {
        let username = Username::parse("Ada.L-1_x").unwrap();
        assert_eq!(username.as_str(), "Ada.L-1_x");
        assert_eq!(username.key(), "ada.l-1_x");
    }

    #[test]
    fn usernames_outside_the_rule_are_refused() {
        let long = "a".repeat(33);
        for bad in ["", "ab", &long, "_ab", "ab-", "a b", "a@b.c", "\u{e4}da", "ad\u{430}", "ada\n", " ada"] {
            assert_eq!(Username::parse(bad), Err(UsernameError::Malformed), "{bad:?}");
            assert_eq!(Username::chosen(bad), Err(UsernameError::Malformed), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(32)).is_ok());
        assert!(Username::parse("abc").is_ok());
    }

    #[test]
    fn a_reserved_username_can_be_had_but_not_chosen() {
        for reserved in ["admin", "Admin", "AD.MIN", "no-reply", "Post_Master"] {
            let username = Username::parse(reserved).unwrap();
            assert_eq!((username.as_str(), username.is_reserved()), (reserved, true));
            assert_eq!(Username::chosen(reserved), Err(UsernameError::Reserved));
        }
        assert_eq!(Username::chosen("Ada.L-1_x"), Username::parse("Ada.L-1_x"));
    }

    #[test]
    fn an_edit_tells_absent_null_and_a_value_apart() {
        #[derive(serde::Deserialize)]
        struct Body {
            #[serde(default)]
            name: Edit<String>,
        }
        let read = |json| serde_json::from_str::<Body>(json).map(|body| body.name);
        assert_eq!(read("{}").unwrap(), Edit::Keep);
        assert_eq!(read(r#"{"name": null}"#).unwrap(), Edit::Remove);
        assert_eq!(read(r#"{"name": "Ada"}"#).unwrap(), Edit::Set("Ada".to_owned()));
        assert!(read(r#"{"name": 1}"#).is_err());
        let checked = |edit: Edit<&str>| edit.check(Name::parse);
        assert_eq!(checked(Edit::Set("")), Err(NameError));
        assert_eq!(checked(Edit::Set(" x ")).unwrap().value().map(Name::as_str), Some("x"));
        assert_eq!(checked(Edit::Remove).map(|edit| (edit.is_edit(), edit.value().is_some())), Ok((true, false)));
        assert_eq!(checked(Edit::Keep).map(|edit| edit.is_edit()), Ok(false));
    }

    #[test]
    fn names_are_trimmed_and_normalised() {
        assert_eq!(Name::parse("  Jose\u{301} ").unwrap().as_str(), "Jos\u{e9}");
        assert!(Name::parse(&"\u{1f600}".repeat(200)).is_ok());
        for bad in ["", "   ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2028}b", "\u{feff}", &"n".repeat(201)] {
            assert_eq!(Name::parse(bad), Err(NameError), "{bad:?}");
        }
    }
}
