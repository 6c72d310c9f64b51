//! Echo state networks.
