//! What two peers agree on: pure functions of what both declared.

use bytes::Bytes;

use crate::config::{Compression, Config, Limits};
use crate::error::PeerError;
use crate::frame::{Extensions, FEATURE_CANCEL, Hello, Welcome};

/// What both sides will keep to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The version: every minor up to this one of this major is understood by both.
    pub version: (u16, u16),
    /// What the peer accepts from us.
    pub peer_limits: Limits,
    /// Whether a request can be cancelled.
    pub cancellation: bool,
    /// Whether bodies may be compressed with zstd.
    pub zstd: bool,
}

impl Agreed {
    /// Whether a body may be compressed this way.
    #[must_use]
    pub fn allows(&self, compression: Compression) -> bool {
        match compression {
            Compression::None => true,
            Compression::Zstd => self.zstd,
        }
    }
}

/// The worker's offer.
pub(crate) fn hello(config: &Config) -> Hello {
    Hello {
        versions: config.versions.clone(),
        limits: config.limits,
        features: features(config.cancellation),
        compression: compression(config.zstd),
        app: config.hello.clone(),
        ext: Extensions::none(),
    }
}

/// What the router agrees to, from its own configuration and the worker's offer.
pub(crate) fn negotiate(config: &Config, hello: &Hello) -> Result<Agreed, PeerError> {
    let bad = |detail| Err(PeerError::BadOffer { detail });
    if hello.versions.is_empty() {
        return bad("no version is offered");
    }
    if repeats(hello.versions.iter().map(|(major, _)| *major)) {
        return bad("a major version is offered twice");
    }
    if repeats(hello.compression.iter().copied()) {
        return bad("a compression is offered twice");
    }
    if hello.compression.contains(&Compression::None.number()) {
        return bad("compression 0 is always allowed and never offered");
    }
    if let Some(detail) = hello.limits.fault() {
        return Err(PeerError::BadLimits { detail });
    }
    let version = common_version(&config.versions, &hello.versions).ok_or_else(|| {
        let offered = hello.versions.iter().map(|(major, minor)| format!("{major}.{minor}"));
        PeerError::UnsupportedVersion { offered: offered.collect::<Vec<_>>().join(", ") }
    })?;
    Ok(Agreed {
        version,
        peer_limits: hello.limits,
        cancellation: config.cancellation && hello.features & FEATURE_CANCEL != 0,
        zstd: config.zstd && hello.compression.contains(&Compression::Zstd.number()),
    })
}

/// The router's answer.
pub(crate) fn welcome(config: &Config, agreed: &Agreed, app: Bytes) -> Welcome {
    Welcome {
        version: agreed.version,
        limits: config.limits,
        features: features(agreed.cancellation),
        compression: compression(agreed.zstd),
        app,
        ext: Extensions::none(),
    }
}

/// What the worker agrees to: all of a `Welcome` that chooses only from the offer.
pub(crate) fn accept(config: &Config, welcome: &Welcome) -> Result<Agreed, PeerError> {
    let bad = |detail| Err(PeerError::BadWelcome { detail });
    let (major, minor) = welcome.version;
    if !config.versions.iter().any(|&(ours, highest)| ours == major && minor <= highest) {
        return bad("the version was not offered");
    }
    if welcome.features & !features(config.cancellation) != 0 {
        return bad("a feature was not offered");
    }
    let offered = compression(config.zstd);
    if repeats(welcome.compression.iter().copied())
        || welcome.compression.iter().any(|number| !offered.contains(number))
    {
        return bad("a compression was not offered, or stands twice");
    }
    if let Some(detail) = welcome.limits.fault() {
        return Err(PeerError::BadLimits { detail });
    }
    Ok(Agreed {
        version: welcome.version,
        peer_limits: welcome.limits,
        cancellation: welcome.features & FEATURE_CANCEL != 0,
        zstd: welcome.compression.contains(&Compression::Zstd.number()),
    })
}

/// The highest major in both lists, with the lower of its minors.
fn common_version(ours: &[(u16, u16)], theirs: &[(u16, u16)]) -> Option<(u16, u16)> {
    ours.iter()
        .filter_map(|&(major, minor)| {
            let (_, other) = theirs.iter().find(|(theirs, _)| *theirs == major)?;
            Some((major, minor.min(*other)))
        })
        .max()
}

fn features(cancellation: bool) -> u32 {
    if cancellation { FEATURE_CANCEL } else { 0 }
}

fn compression(zstd: bool) -> Vec<u8> {
    zstd.then(|| Compression::Zstd.number()).into_iter().collect()
}

pub(crate) fn repeats<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut items: Vec<T> = items.collect();
    items.sort_unstable();
    let total = items.len();
    items.dedup();
    items.len() < total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Role;

    #[test]
    fn the_highest_common_major_wins_with_the_lower_minor() {
        assert_eq!(common_version(&[(3, 1), (4, 0)], &[(3, 0), (4, 7)]), Some((4, 0)));
        assert_eq!(common_version(&[(3, 1)], &[(3, 0), (4, 7)]), Some((3, 0)));
        assert_eq!(common_version(&[(3, 1)], &[(2, 9), (4, 0)]), None);
    }

    #[test]
    fn a_welcome_may_only_choose_from_the_offer() {
        let config = Config::new(Role::Worker);
        let router = Config { zstd: true, ..Config::new(Role::Router) };
        let agreed = negotiate(&router, &hello(&config)).expect("defaults agree");
        assert!(!agreed.zstd, "only one side has it");
        let good = welcome(&router, &agreed, Bytes::new());
        assert_eq!(accept(&config, &good).map(|agreed| agreed.version), Ok((3, 0)));
        let spoiled: [fn(&mut Welcome); 5] = [
            |welcome| welcome.version = (3, 1),
            |welcome| welcome.version = (4, 0),
            |welcome| welcome.features = 2,
            |welcome| welcome.compression = vec![1],
            |welcome| welcome.limits.max_frame = 100,
        ];
        for spoil in spoiled {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(accept(&config, &bad).is_err(), "{bad:?}");
        }
    }
}
