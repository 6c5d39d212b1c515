//! What readers see: one file a format, all from the same snapshot.
