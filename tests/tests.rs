//! Tests of the whole: one binary, one module a subject.

mod filters;
mod saved;
mod second_opinion;
