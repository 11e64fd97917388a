//! [`Registry`]: the message types that an application knows.

use std::collections::BTreeMap;

use crate::error::TypeError;
use crate::types::{FIRST_APPLICATION_CODE, MessageType};

/// A registry lists the message types of an application and its plugins. Each code occurs once.
///
/// ```
/// use veltix::{MessageType, Registry};
///
/// let mut registry = Registry::default();
/// registry.register(MessageType::new(200, "chat", "Chat message"))?;
/// let typing = registry.allocate("typing")?;
/// assert_eq!((typing.code(), registry.find(200).unwrap().name()), (201, "chat"));
/// # Ok::<(), veltix::TypeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry {
    types: BTreeMap<u16, MessageType>,
}

impl Registry {
    /// Creates a registry without types.
    #[must_use]
    pub const fn new() -> Self {
        Self { types: BTreeMap::new() }
    }

    /// Creates the registry of an enum with `#[veltix::message]`. The generated code calls it.
    ///
    /// # Panics
    /// Panics if a code occurs twice. No enum can have one code twice: rustc refuses it (E0081).
    #[doc(hidden)]
    #[must_use]
    pub fn of_enum(types: impl IntoIterator<Item = impl Into<MessageType>>) -> Self {
        let mut registry = Self::new();
        for message_type in types {
            let added = registry.register(message_type.into());
            assert!(added.is_ok(), "two message types of the enum have the same code");
        }
        registry
    }

    /// Adds a type.
    ///
    /// # Errors
    /// Returns [`TypeError::Reserved`] for a type of the protocol, which an application cannot
    /// register. Returns [`TypeError::Duplicate`] if the code is taken, also by an equal type: two
    /// registrations mean that two parts of a program use the same code.
    pub fn register(&mut self, message_type: MessageType) -> Result<(), TypeError> {
        let code = message_type.code();
        if code < FIRST_APPLICATION_CODE {
            return Err(TypeError::Reserved { code });
        }
        if let Some(holder) = self.find(code) {
            return Err(TypeError::Duplicate { code, taken_by: holder.name() });
        }
        self.types.insert(code, message_type);
        Ok(())
    }

    /// Adds a type with this name under the first free code from 200.
    ///
    /// The code depends on the types that are already registered, so both sides of a connection
    /// have to register the same types in the same order. Types with explicit codes do not depend
    /// on the order.
    ///
    /// # Errors
    /// Returns [`TypeError::Exhausted`] if no code is free.
    pub fn allocate(&mut self, name: &'static str) -> Result<MessageType, TypeError> {
        let code = (FIRST_APPLICATION_CODE..=u16::MAX)
            .find(|code| !self.types.contains_key(code))
            .ok_or(TypeError::Exhausted)?;
        let message_type = MessageType::try_new(code, name, "")?;
        self.types.insert(code, message_type);
        Ok(message_type)
    }

    /// Adds all types of another registry, or none of them.
    ///
    /// # Errors
    /// Returns [`TypeError::Duplicate`] if a code is taken.
    pub fn merge(&mut self, other: Self) -> Result<(), TypeError> {
        if let Some(holder) = other.types.keys().find_map(|&code| self.find(code)) {
            return Err(TypeError::Duplicate { code: holder.code(), taken_by: holder.name() });
        }
        self.types.extend(other.types);
        Ok(())
    }

    /// Returns the type with this code.
    #[must_use]
    pub fn find(&self, code: u16) -> Option<MessageType> {
        self.types.get(&code).copied()
    }

    /// Returns all types, ordered by code.
    pub fn iter(&self) -> impl Iterator<Item = MessageType> {
        self.types.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::PING;

    const CHAT: MessageType = MessageType::new(200, "chat", "");
    const FILE: MessageType = MessageType::new(202, "file", "");

    fn registry(types: &[MessageType]) -> Registry {
        let mut registry = Registry::default();
        for &message_type in types {
            registry.register(message_type).unwrap();
        }
        registry
    }

    fn names(registry: &Registry) -> Vec<&'static str> {
        registry.iter().map(MessageType::name).collect()
    }

    #[test]
    fn a_taken_code_names_its_holder() {
        let mut registry = registry(&[CHAT]);
        let taken = Err(TypeError::Duplicate { code: 200, taken_by: "chat" });
        assert_eq!(registry.register(MessageType::new(200, "file", "")), taken);
        assert_eq!(registry.register(CHAT), taken);
        assert_eq!(names(&registry), ["chat"]);
    }

    #[test]
    fn the_protocols_own_types_are_refused() {
        assert_eq!(Registry::default().register(PING), Err(TypeError::Reserved { code: 0 }));
    }

    #[test]
    fn allocation_takes_the_first_free_code() {
        let mut registry = registry(&[FILE, CHAT]);
        let codes = ["a", "b"].map(|name| registry.allocate(name).unwrap().code());
        assert_eq!(codes, [201, 203]);
        assert_eq!(names(&registry), ["chat", "a", "file", "b"]);
        assert_eq!(registry.find(203).map(MessageType::name), Some("b"));
        assert_eq!(registry.find(204), None);
    }

    #[test]
    fn codes_run_out() {
        let all: Vec<_> = (200..=u16::MAX).map(|code| MessageType::new(code, "x", "")).collect();
        assert_eq!(registry(&all).allocate("one more"), Err(TypeError::Exhausted));
        assert_eq!(registry(&all[1..]).allocate("the last"), Ok(CHAT));
    }

    #[test]
    fn a_merge_takes_all_or_nothing() {
        let mut first = registry(&[CHAT]);
        let taken = Err(TypeError::Duplicate { code: 200, taken_by: "chat" });
        assert_eq!(first.merge(registry(&[MessageType::new(200, "other", ""), FILE])), taken);
        assert_eq!(names(&first), ["chat"]);
        assert_eq!(first.merge(registry(&[FILE])), Ok(()));
        assert_eq!(names(&first), ["chat", "file"]);
    }
}
