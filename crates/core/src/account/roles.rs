//! Roles: names from a configured list, which travel in the `roles` claim. One of them opens the admin routes here; what
//! the others mean is the business of those who verify the tokens.

use std::fmt;

/// Opens the admin routes. The index and the views that find admins, and the statement that changes one, spell it out as
/// well.
pub const ADMIN: &str = "admin";
/// Of a role's name, in characters.
const MAX_LEN: usize = 32;

/// The roles there are: at least two, the first of which is what everyone starts as, and one of the others [`ADMIN`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Roles(Vec<String>);

/// Why a text is no list of roles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RolesError {
    /// A name is not 1 to 32 of `a-z`, `0-9`, `_` and `-`, beginning with a letter.
    Name,
    /// A name stands twice.
    Repeated,
    /// [`ADMIN`] is not in the list.
    NoAdmin,
    /// [`ADMIN`] stands first: everyone would start as one.
    AdminFirst,
}

/// A role that is not in the list, or stands twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownRole;

impl Roles {
    /// Reads names separated by commas.
    ///
    /// # Errors
    /// [`RolesError`] names the first rule that does not hold.
    pub fn parse(text: &str) -> Result<Self, RolesError> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if !names.iter().all(|name| is_name(name)) {
            return Err(RolesError::Name);
        }
        if has_repetition(&names) {
            return Err(RolesError::Repeated);
        }
        match names.iter().position(|name| name == ADMIN) {
            None => Err(RolesError::NoAdmin),
            Some(0) => Err(RolesError::AdminFirst),
            Some(_) => Ok(Self(names)),
        }
    }

    /// What everyone starts as.
    #[must_use]
    pub fn first(&self) -> Vec<String> {
        self.0.iter().take(1).cloned().collect()
    }

    /// Checks the roles that somebody is to have: each of the list, none twice. They come back in the order of the list,
    /// so that the same roles are always the same text.
    ///
    /// # Errors
    /// [`UnknownRole`].
    pub fn choose(&self, wanted: &[String]) -> Result<Vec<String>, UnknownRole> {
        if wanted.len() > self.0.len() || !wanted.iter().all(|role| self.0.contains(role)) || has_repetition(wanted) {
            return Err(UnknownRole);
        }
        Ok(self.0.iter().filter(|role| wanted.contains(role)).cloned().collect())
    }
}

impl fmt::Display for RolesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => {
                "must be role names separated by commas, each 1 to 32 of a-z, 0-9, _ and -, beginning with a letter"
            }
            Self::Repeated => "must not name a role twice",
            Self::NoAdmin => "must list \"admin\"",
            Self::AdminFirst => "must not begin with \"admin\": the first role is what everyone starts as",
        })
    }
}

impl fmt::Display for UnknownRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Roles must be of the configured list, each named once.")
    }
}

/// Whether somebody of these roles may use the admin routes.
#[must_use]
pub fn is_admin(roles: &[String]) -> bool {
    roles.iter().any(|role| role == ADMIN)
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_LEN
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

fn has_repetition(names: &[String]) -> bool {
    names.iter().enumerate().any(|(position, name)| names.iter().take(position).any(|earlier| earlier == name))
}

#[cfg(test)]
mod tests {
    use super::{Roles, RolesError, UnknownRole, is_admin};

    fn owned(roles: &[&str]) -> Vec<String> {
        roles.iter().map(|role| (*role).to_owned()).collect()
    }

    #[test]
    fn everyone_starts_as_the_first_of_the_list() {
        assert_eq!(Roles::parse("user,admin").unwrap().first(), ["user"]);
        assert_eq!(Roles::parse(" member , editor, admin ").unwrap().first(), ["member"]);
    }

    #[test]
    fn a_bad_list_is_refused_for_its_reason() {
        let too_long = format!("user,admin,{}", "a".repeat(33));
        for (text, error) in [
            ("", RolesError::Name),
            ("user,,admin", RolesError::Name),
            ("User,admin", RolesError::Name),
            ("user,admin,1st", RolesError::Name),
            ("user,admin,a\"b", RolesError::Name),
            (&too_long, RolesError::Name),
            ("user,admin,user", RolesError::Repeated),
            ("user", RolesError::NoAdmin),
            ("user,administrator", RolesError::NoAdmin),
            ("admin,user", RolesError::AdminFirst),
        ] {
            assert_eq!(Roles::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn roles_are_chosen_from_the_list_each_once_and_in_its_order() {
        let roles = Roles::parse("user,editor,admin").unwrap();
        assert_eq!(roles.choose(&owned(&["admin", "user"])), Ok(owned(&["user", "admin"])));
        assert_eq!(roles.choose(&[]), Ok(Vec::new()));
        for bad in [&["root"][..], &["user", "user"], &["Admin"], &[""]] {
            assert_eq!(roles.choose(&owned(bad)), Err(UnknownRole), "{bad:?}");
        }
    }

    #[test]
    fn only_the_very_role_makes_an_admin() {
        assert!(is_admin(&owned(&["user", "admin"])));
        for roles in [&[][..], &["user"], &["administrator"], &["Admin"]] {
            assert!(!is_admin(&owned(roles)), "{roles:?}");
        }
    }
}
