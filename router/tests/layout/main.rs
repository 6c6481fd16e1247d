//! The layout of a workspace, over trees made for the purpose and over the sources of a JDK.

mod jdk;
mod naive;
mod rules;
mod sharding;
mod tree;
#[cfg(unix)]
mod trouble;
