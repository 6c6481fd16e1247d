//! The published state of a shard, and how the next one is made from it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use nova_proto_core::messages::Found;

use super::builder::Builder;
use super::layer::Layer;
use super::{Query, search_all};
use crate::Outline;

/// A layer is merged into the one below when that has less than this many times its symbols.
const GROWTH: usize = 4;

/// The symbols of a shard at one moment: immutable, cheap to clone, and never waiting for anything.
///
/// A change makes a new snapshot that shares nearly everything with the old one. Changed files go into a small
/// layer on top that hides their former versions; layers are merged as they grow. How a snapshot is layered shows
/// in its speed and memory only, never in an answer.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// From the oldest and largest to the newest; a path is live in one of them at most.
    layers: Arc<[Layer]>,
}

impl Snapshot {
    /// A snapshot of `files` in a single layer; of several with one path the last counts.
    #[must_use]
    pub fn new(files: impl IntoIterator<Item = (Arc<str>, Arc<Outline>)>) -> Self {
        Self { layers: build(files).into_iter().collect() }
    }

    /// The snapshot in which the files of `upserts` are as given there, those of `removes` are gone unless they are
    /// among the upserts too, and all others are as they were.
    ///
    /// Takes time for the changed files, and a bit for each file of the layers they were in. Merging adds, on
    /// average over many changes, a time proportional to the changed symbols and the logarithm of the size.
    #[must_use]
    pub fn apply<'a>(
        &self,
        upserts: impl IntoIterator<Item = (Arc<str>, Arc<Outline>)>,
        removes: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let top = build(upserts);
        let removes: Vec<&str> = removes.into_iter().collect();
        let mut layers = self.layers.to_vec();
        for layer in &mut layers {
            let replaced = top.iter().flat_map(|top| &top.segment().files.paths).map(|path| &**path);
            layer.bury(removes.iter().copied().chain(replaced));
            if layer.dead_symbols() > layer.live_symbols() / GROWTH {
                *layer = merge(std::slice::from_ref(layer));
            }
        }
        layers.extend(top);
        Self::from_layers(layers)
    }

    /// The same files in a single layer: least memory, fastest searches. Takes time for all symbols.
    #[must_use]
    pub fn compact(&self) -> Self {
        match &*self.layers {
            [] => self.clone(),
            [layer] if !layer.has_dead() => self.clone(),
            layers => Self { layers: [merge(layers)].into() },
        }
    }

    fn from_layers(mut layers: Vec<Layer>) -> Self {
        layers.retain(|layer| layer.live_files() > 0);
        let size = |layer: &Layer| layer.live_symbols() + layer.live_files();
        let grown = |pair: &[Layer]| size(&pair[0]) < GROWTH.saturating_mul(size(&pair[1]));
        while let Some(below) = layers.windows(2).rposition(grown) {
            let merged = merge(&layers[below..below + 2]);
            layers.splice(below..below + 2, [merged]);
        }
        Self { layers: layers.into() }
    }

    /// The best `limit` matches of `query`, by the order of
    /// [`HitKey`](nova_proto_core::messages::HitKey), and whether there are more. However long their texts are:
    /// [`search_all`] bounds their bytes as well.
    #[must_use]
    pub fn search(&self, query: &Query, limit: usize) -> Found {
        search_all(std::slice::from_ref(self), query, limit, usize::MAX)
    }

    /// How many symbols there are.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.layers.iter().map(Layer::live_symbols).sum()
    }

    /// How many files there are, those without symbols included.
    #[must_use]
    pub fn files(&self) -> usize {
        self.layers.iter().map(Layer::live_files).sum()
    }

    /// The bytes held in memory, paths and superseded files included; what is shared with other snapshots counts in
    /// each.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.layers.iter().map(|layer| size_of::<Layer>() + layer.memory_bytes()).sum()
    }

    /// All files with their declarations, in the byte order of their paths. Outlines are made as they are asked for.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, Outline)> {
        iter(&self.layers, "")
    }

    /// Like [`iter`](Self::iter), beginning with the first path at or behind `from`.
    pub fn iter_from(&self, from: &str) -> impl Iterator<Item = (&Arc<str>, Outline)> {
        iter(&self.layers, from)
    }

    pub(super) fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

/// The live files of `layers` in the order of their paths, beginning with the first at or behind `from`.
fn iter<'a>(layers: &'a [Layer], from: &str) -> impl Iterator<Item = (&'a Arc<str>, Outline)> + use<'a> {
    let path = |layer: usize, file: u32| &layers[layer].segment().files.paths[file as usize];
    let mut files: Vec<_> = layers.iter().map(Layer::files).collect();
    let mut heads = BinaryHeap::new();
    for (layer, files) in files.iter_mut().enumerate() {
        let first = files.find(|&file| **path(layer, file) >= *from);
        heads.extend(first.map(|file| Reverse((path(layer, file), layer, file))));
    }
    std::iter::from_fn(move || {
        let Reverse((name, layer, file)) = heads.pop()?;
        heads.extend(files[layer].next().map(|file| Reverse((path(layer, file), layer, file))));
        Some((name, layers[layer].segment().outline(file)))
    })
}

fn merge(layers: &[Layer]) -> Layer {
    let mut builder = Builder::default();
    for (path, outline) in iter(layers, "") {
        builder.push(Arc::clone(path), &outline);
    }
    Layer::new(builder.finish())
}

fn build(files: impl IntoIterator<Item = (Arc<str>, Arc<Outline>)>) -> Option<Layer> {
    let files: BTreeMap<_, _> = files.into_iter().collect();
    let mut builder = Builder::default();
    for (path, outline) in &files {
        builder.push(Arc::clone(path), outline);
    }
    (!files.is_empty()).then(|| Layer::new(builder.finish()))
}
