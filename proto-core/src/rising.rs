//! A map for keys that are added in rising order, as request ids are: a queue, so that adding, and finding and removing
//! what came first, take constant time and move nothing.

use std::collections::VecDeque;

/// How many places an empty map keeps.
const KEPT: usize = 1024;

/// A key that counts upwards.
pub trait Count: Copy + Ord {
    /// How many keys lie between, if none was left out; `first` is not above this one.
    fn steps_from(self, first: Self) -> u64;
}

/// A map from keys that only rise. What was removed from its middle leaves a hole, until half of all is holes.
///
/// For the driver, too; no part of the crate's interface.
#[derive(Debug)]
pub struct Rising<K, V> {
    /// In the order of their keys; neither the first nor the last is a hole.
    places: VecDeque<(K, Option<V>)>,
    len: usize,
}

impl<K: Count, V> Rising<K, V> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: K) -> Option<&V> {
        self.places.get(self.find(key)?)?.1.as_ref()
    }

    /// The value of a key, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.find(key)?;
        self.places.get_mut(place)?.1.as_mut()
    }

    /// Adds a value. A key that is not above all others is ignored: its owner counts upwards.
    #[inline]
    pub fn insert(&mut self, key: K, value: V) {
        let rises = self.places.back().is_none_or(|(last, _)| *last < key);
        debug_assert!(rises, "keys rise");
        if rises {
            self.places.push_back((key, Some(value)));
            self.len = self.len.saturating_add(1);
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let place = self.find(key)?;
        let value = match place {
            0 => self.places.pop_front()?.1?,
            _ => self.places.get_mut(place)?.1.take()?,
        };
        self.len = self.len.saturating_sub(1);
        while self.places.front().is_some_and(|(_, value)| value.is_none()) {
            self.places.pop_front();
        }
        while place > 0 && self.places.back().is_some_and(|(_, value)| value.is_none()) {
            self.places.pop_back();
        }
        if self.places.len().saturating_sub(self.len) > self.len.saturating_add(KEPT) {
            self.places.retain(|(_, value)| value.is_some());
        }
        if self.places.is_empty() {
            self.places.shrink_to(KEPT);
        }
        Some(value)
    }

    /// Where a key is, or its hole: as far behind the first as it was counted, unless some were left out.
    #[inline]
    fn find(&self, key: K) -> Option<usize> {
        let (first, _) = self.places.front()?;
        if key < *first {
            return None;
        }
        let place = usize::try_from(key.steps_from(*first)).unwrap_or(usize::MAX);
        match self.places.get(place) {
            Some((there, _)) if *there == key => Some(place),
            _ => self.places.binary_search_by_key(&key, |(key, _)| *key).ok(),
        }
    }
}

impl<K, V> IntoIterator for Rising<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::FilterMap<
        std::collections::vec_deque::IntoIter<(K, Option<V>)>,
        fn((K, Option<V>)) -> Option<(K, V)>,
    >;

    /// In the order of their keys.
    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}

impl<K, V> Default for Rising<K, V> {
    fn default() -> Self {
        Self { places: VecDeque::new(), len: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    impl Count for u64 {
        fn steps_from(self, first: Self) -> u64 {
            self - first
        }
    }

    proptest! {
        /// Whatever is added and removed, it is a map.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((any::<bool>(), 1..6u64, any::<u64>()), 0..2000)) {
            let (mut map, mut model, mut next) = (Rising::default(), BTreeMap::new(), 0);
            for (add, gap, any) in steps {
                let known = model.keys().nth((any % (model.len() as u64 + 1)) as usize).copied();
                match known {
                    Some(key) if !add => {
                        prop_assert_eq!(map.remove(key), model.remove(&key));
                        prop_assert_eq!(map.remove(key), None);
                    }
                    _ => {
                        next += gap;
                        map.insert(next, any);
                        model.insert(next, any);
                    }
                }
                let key = any % (next + 2);
                prop_assert_eq!(map.get(key), model.get(&key));
                prop_assert_eq!(map.get_mut(key), model.get_mut(&key));
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(map.places.len() <= 2 * map.len() + KEPT);
            }
            prop_assert!(map.into_iter().eq(model));
        }
    }

    #[test]
    fn keys_at_the_end_of_all_numbers_are_found() {
        let mut map = Rising::default();
        for key in [1, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
            map.insert(key, key);
        }
        for key in [1, u64::MAX - 2, u64::MAX - 1, u64::MAX] {
            assert_eq!(map.get(key), Some(&key));
        }
        assert_eq!(map.get(2), None);
    }

    #[test]
    fn places_are_given_back_and_one_that_stays_keeps_no_others() {
        let mut map = Rising::default();
        for key in 0..100_000u64 {
            map.insert(key, key);
            if key > 0 {
                assert_eq!(map.remove(key), Some(key));
            }
        }
        assert!(map.places.capacity() <= 2 * KEPT, "the first stayed: {}", map.places.capacity());
        for key in 100_000..200_000 {
            map.insert(key, key);
        }
        for key in (100_000..200_000).chain([0]) {
            map.remove(key);
        }
        assert!(map.places.capacity() <= KEPT, "{}", map.places.capacity());
    }
}
