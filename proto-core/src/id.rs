//! Roles and request ids: who may open which number.

use std::fmt;

use crate::rising::Count;

/// Which end of the connection this is.
///
/// The worker connects and speaks first; the router listens and answers. Either may send requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Accepts connections; its request ids are even.
    Router,
    /// Opens connections; its request ids are odd.
    Worker,
}

impl Role {
    /// The other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Router => Self::Worker,
            Self::Worker => Self::Router,
        }
    }
}

/// The number of one request on one connection: 0 is reserved, even ones are the router's, odd ones the worker's.
///
/// Ids of one side strictly increase, so an id is never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

impl RequestId {
    /// The id with this number; `None` for 0, which names no request.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// The number on the wire.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// The side that opened, or would open, this id.
    #[must_use]
    pub fn initiator(self) -> Role {
        if self.0 & 1 == 0 { Role::Router } else { Role::Worker }
    }
}

impl Count for RequestId {
    /// One side's ids are two apart.
    fn steps_from(self, first: Self) -> u64 {
        self.0.saturating_sub(first.0) >> 1
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Hands out one side's ids in order, each once.
#[derive(Debug)]
pub(crate) struct IdAllocator {
    next: Option<u64>,
}

impl IdAllocator {
    /// Starts at the role's first id, or at the first one at or above `at_least`.
    pub(crate) fn new(role: Role, at_least: u64) -> Self {
        let parity = match role {
            Role::Router => 0,
            Role::Worker => 1,
        };
        let start = at_least.max(1);
        let next = if start & 1 == parity { Some(start) } else { start.checked_add(1) };
        Self { next }
    }

    /// The next id, or `None` once they are used up: they never wrap.
    pub(crate) fn allocate(&mut self) -> Option<RequestId> {
        let id = self.next?;
        self.next = id.checked_add(2);
        RequestId::new(id)
    }

    /// Whether no id is left.
    pub(crate) fn exhausted(&self) -> bool {
        self.next.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_starts_at_its_first_id() {
        assert_eq!(IdAllocator::new(Role::Router, 0).allocate(), RequestId::new(2));
        assert_eq!(IdAllocator::new(Role::Worker, 0).allocate(), RequestId::new(1));
    }

    #[test]
    fn ids_end_instead_of_wrapping() {
        let mut ids = IdAllocator::new(Role::Worker, u64::MAX - 2);
        assert_eq!(ids.allocate(), RequestId::new(u64::MAX - 2));
        assert_eq!(ids.allocate(), RequestId::new(u64::MAX));
        assert!(ids.exhausted());
        assert_eq!(ids.allocate(), None);
    }

    #[test]
    fn the_parity_names_the_initiator() {
        assert_eq!(RequestId::new(0), None);
        assert_eq!(RequestId::new(7).map(RequestId::initiator), Some(Role::Worker));
        assert_eq!(RequestId::new(8).map(RequestId::initiator), Some(Role::Router));
        assert_eq!(Role::Router.peer().peer(), Role::Router);
    }
}
