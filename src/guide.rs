//! The pages of `docs/guide`, with links that work here.
//!
#![doc = include_str!("guide/links.md")]
#![doc = ""]
#![doc = include_str!("../docs/guide/README.md")]

// This module is compiled for rustdoc and doctests only. rustdoc uses the first definition of a
// label. So the definitions of `links.md` win over those at the end of a chapter, which are for
// readers of the file.

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/start-here.md")]
pub mod start_here {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/tutorial.md")]
pub mod tutorial {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/embed.md")]
pub mod embed {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/arguments.md")]
pub mod arguments {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/verbs.md")]
pub mod verbs {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/outcomes.md")]
pub mod outcomes {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/debug.md")]
pub mod debug {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/test.md")]
pub mod test {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/deploy.md")]
pub mod deploy {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/tune.md")]
pub mod tune {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/fault-inject.md")]
pub mod fault_inject {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/migrate.md")]
pub mod migrate {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/compare.md")]
pub mod compare {}

#[doc = include_str!("guide/links.md")]
#[doc = ""]
#[doc = include_str!("../docs/guide/faq.md")]
pub mod faq {}
