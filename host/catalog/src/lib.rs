//! Plugin registries: manifests, version resolution, locks, digests.
