//! Reads the variables and collects all problems, so that they are reported at once.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A problem of the configuration. Never holds a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The variable's name.
    pub variable: &'static str,
    /// The description of the problem.
    pub problem: String,
}

/// A variable as it was found in the environment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// Not set, `null`, or empty.
    Absent,
    /// Set to this text.
    Text(String),
    /// Set to something other than text.
    NotText,
}

/// Reads variables and checks them.
pub(super) struct Reader<F> {
    find: F,
    problems: Vec<Problem>,
}

impl<F: Fn(&'static str) -> Found> Reader<F> {
    pub(super) const fn new(find: F) -> Self {
        Self { find, problems: Vec::new() }
    }

    /// The problems so far.
    pub(super) fn problems(self) -> Vec<Problem> {
        self.problems
    }

    pub(super) fn problem(&mut self, variable: &'static str, problem: &str) {
        self.problems.push(Problem { variable, problem: problem.to_owned() });
    }

    /// Whether another variable contains a secret of this one.
    pub(super) fn is_shared(&self, name: &'static str, other: &'static str) -> bool {
        match ((self.find)(name), (self.find)(other)) {
            (Found::Text(text), Found::Text(other)) => text
                .split(',')
                .map(|part| part.trim().trim_end_matches('='))
                .any(|part| !part.is_empty() && other.contains(part)),
            _ => false,
        }
    }

    pub(super) fn is_set(&self, name: &'static str) -> bool {
        (self.find)(name) != Found::Absent
    }

    /// A secret or a text without a default.
    pub(super) fn optional(
        &mut self,
        name: &'static str,
        check: impl Fn(&str) -> bool,
        problem: &str,
    ) -> Option<String> {
        match (self.find)(name) {
            Found::Absent => None,
            found => self.checked(
                name,
                found,
                |text| {
                    if check(text) { Ok(text.to_owned()) } else { Err(problem.to_owned()) }
                },
            ),
        }
    }

    pub(super) fn required<T>(&mut self, name: &'static str, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match (self.find)(name) {
            Found::Absent => {
                self.problem(name, "is not set");
                None
            }
            found => self.checked(name, found, check),
        }
    }

    pub(super) fn text<T>(
        &mut self,
        name: &'static str,
        default: &str,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let found = match (self.find)(name) {
            Found::Absent => Found::Text(default.to_owned()),
            found => found,
        };
        self.checked(name, found, check)
    }

    pub(super) fn number<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: Copy + FromStr + PartialOrd + fmt::Display,
    {
        let out_of_range = || format!("must be a whole number from {} to {}", range.start(), range.end());
        let check = |text: &str| {
            // `FromStr` accepts a leading plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = if digits { text.parse().ok() } else { None };
            number.filter(|number| range.contains(number)).ok_or_else(out_of_range)
        };
        match (self.find)(name) {
            Found::Absent => default,
            // An invalid number is reported. The other checks continue with the default.
            found => self.checked(name, found, check).unwrap_or(default),
        }
    }

    fn checked<T>(&mut self, name: &'static str, found: Found, check: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let checked = match found {
            Found::Text(text) => check(&text),
            Found::Absent | Found::NotText => Err("must be text: put it in quotes".to_owned()),
        };
        checked.map_err(|problem| self.problem(name, &problem)).ok()
    }
}
